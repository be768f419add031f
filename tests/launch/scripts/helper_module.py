calls = 0


def count():
    global calls
    calls += 1

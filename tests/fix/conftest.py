from tests.fix.workshop import workshop

__all__ = ["workshop"]

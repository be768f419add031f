"""The numbers that several rules compare a measurement with, each beside the measurement that set it.

``bench/calibrate.py`` fits them on the calibration part of the truth table. The distributions beside some, of its cases, are
what ``python -m bench.calibrate --quantities suite`` prints. A number that one rule alone uses stands in that rule's file.
"""

from __future__ import annotations

STEPS, MOST_STEPS = 10, 100
"""Of a step test, where they tell, and where they do not."""

# Fall of the loss less that of the best constant change of the answer, after ten steps and (LATE) after a hundred. Of 882
# calibration rows 2 of 471 that train have learned less than 0.02 after a hundred steps, 321 of 411 that fail.
LEARNED = 0.005
LEARNED_LATE = 0.4
STALLED = 0.002
STALLED_LATE = 0.02

# The same on fresh batches: 1 − loss ÷ loss of the mean answer, on batches that were never trained on. It takes a hundred
# steps where it is open: after a hundred this number alone tells 99 of 100 rows that train from 93 of 100 that fail.
FRESH_LEARNED = 0.01
FRESH_LEARNED_LATE = 0.04
FRESH_LEARNED_LONG = 0.12
FRESH_STALLED = 0.001
FRESH_STALLED_LATE = 0.03
FRESH_OPEN = 0.04
FRESH_RECOVERED = 0.3

# Times the loss of the mean answer from which a loss that began there says little until a hundred steps are taken. Loops of 20
# and 50 steps h + f(h) begin at 47 and 46 times it; after three steps they read 0.04 learned, after ten -0.30 and -0.11.
FAR_ABOVE = 3

# What of it may be chance on the few unseen samples there are. Of 1,017 calibration rows on fresh batches 13 are missed and 17
# that train warned without it, 10 and 18 with 0.1 or 0.15, 9 and 18 from 0.2 on; the more is taken off, the longer a model that
# has been trained before is taken for one that learns nothing.
CHANCE = 0.2

# Learned in ten steps, under which a hundred are taken: by 118 of the same 471 rows, and by 370 of the 411.
OPEN = 0.02

# Greatest rise of the loss in one of the first ten steps ÷ the first loss. Of the same rows 11 that train leapt so, and all
# have lost nine tenths of the loss after a hundred steps; 59 that fail did, and 4 have.
LEAP = 0.4
BOUNCED = 1
RECOVERED = 0.7
ASTRAY = 300

# A loss at or below which nothing is left to learn, also where one constant answer is right for all. Least squares that L-BFGS
# solves in float64, 12 seeds: 0 to 7e-35 from 0.01 to 0.17. Nets that die in the steps stand at the loss of their constant.
NOTHING_LEFT = 1e-12

# bench.calibrate --quantities, growth of the output's spread in ten steps where it begins below 1e-7. Set-ups that train:
# 17-fold or more, ending at 4e-12 or more. Sick ones: at most 9-fold or ending at 1e-14, but for one of 39.
SPREAD_FLOOR = 3e-12
SPREAD_GROWTH = 30

# bench.calibrate --quantities, decades lost by the model on the trunk, the loss function's own left out. 212 set-ups that
# train: 95 % lose at most 2.7, the greatest (default initialisation at a depth just borne) 10.2. Sick: median 9 (SG101, 102),
# 12 (SG301).
DECADES_AT_RISK = 4
DECADES_LOST = 5.5
DECADES_STALLED = 3
"""Enough for a warning where the step test stood still and the samples come no further apart."""

# bench.calibrate --quantities mlp, plain nets at default initialisation under Adam (such as bench/corpus/rows/depth.py makes):
# of those whose output has a spread of 5e-14 or more, all 28 learned something in 600 steps (0.13 or more), with up to 8.6
# decades lost; of those below 1e-14 one of six did. float32 rounds amplitudes to 6e-8, energies to 4e-15.
ROUNDING = 2e-14
DECADES_DROWNED = 9.5
"""The same without a spread to look at (a batch of one)."""

# Update ratio of the slowest matrix in one step. A scale-free optimizer moves it by about its rate, 1e-5 and more; SGD on a
# gradient six decades smaller than the last layer's by less than this, a million steps for a change of its own size.
CRAWL = 1e-6


# bench.calibrate --quantities, size of weight decay's part of the first update ÷ size of the gradient's part. 212 set-ups
# that train: at most 0.053; two that decay outweighs: 5.9 and 141.
DECAY = 1.0
DECAY_ALONE = 1.5

# bench.calibrate --quantities, decades gained by the model on the trunk. 212 set-ups that train: at most 1.94. Sick by
# explosion (SG201): 3.3 to 35; by batch norm without skips (SG302): 5.1 to 8.6; through time (SG202): 15 and more.
DECADES_GAINED = 3
DECADES_AT_ONCE = 8.0
"""Gained by no set-up that trains: a warning even where the loss, which begins at millions, falls."""

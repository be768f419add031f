-- A journal as version 2 writes it, with one of everything. Never changed: what is newer must open it.
PRAGMA application_id = 1399278188;
PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE actions (id INTEGER PRIMARY KEY, session INTEGER NOT NULL, step INTEGER NOT NULL, body TEXT NOT NULL);
INSERT INTO "actions" VALUES(1,1,122,'{"step": 122, "kind": "skip", "alarm": 1, "message": "the step was left out", "before": {"lr": 0.001}, "after": {"lr": 0.0005}}');
CREATE TABLE alarms (
  session INTEGER NOT NULL, number INTEGER NOT NULL, step INTEGER NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (session, number)
);
INSERT INTO "alarms" VALUES(1,1,120,'{"number": 1, "step": 120, "code": "SG206", "name": "gradient-spike", "severity": "warning", "parameter": "blocks.1.attn.bias", "message": "14 times its median", "cause": "a batch far from the others", "location": {"path": "train.py", "line": 4, "column": 16, "end_line": 4, "end_column": 28, "source": "        return nn.Sigmoid()(x)"}, "action": "skipped", "optimizer": 0, "delay": 0, "noticed": 122, "last_step": 123, "ended": true, "others": 3, "symptoms": ["SG203"], "rank": 2, "advice": "", "first_sign": "", "signs": [], "rows": []}');
INSERT INTO "alarms" VALUES(1,2,200,'{"number": 2, "step": 200, "code": "SG101", "name": "vanishing-gradient", "severity": "error", "parameter": "blocks.0.attn.weight", "message": "4.0 decades lost", "cause": "", "location": null, "action": "warned", "optimizer": 0, "delay": 3, "noticed": 0, "last_step": 300, "ended": false, "others": 0, "symptoms": [], "rank": null, "advice": "lower the rate from 0.001 to 3e-4", "first_sign": "the update of blocks.1.mlp.weight, 6 steps before the loss", "signs": [{"kind": "weights", "step": 194, "where": "blocks.1.mlp.weight", "factor": 12.5}, {"kind": "loss", "step": 200, "where": "", "factor": 3.0}], "rows": [17, 40]}');
CREATE TABLE extremes (     -- of the total norm, among processes
  session INTEGER NOT NULL, optimizer INTEGER NOT NULL, level INTEGER NOT NULL, place INTEGER NOT NULL,
  first INTEGER NOT NULL, last INTEGER NOT NULL,
  lowest REAL, highest REAL, lowest_rank INTEGER NOT NULL, highest_rank INTEGER NOT NULL,
  PRIMARY KEY (session, optimizer, level, place)
);
INSERT INTO "extremes" VALUES(1,0,0,0,4,4,0.5,0.7,0,3);
CREATE TABLE looks (id INTEGER PRIMARY KEY, session INTEGER NOT NULL, step INTEGER NOT NULL, body TEXT NOT NULL);
INSERT INTO "looks" VALUES(1,1,4,'{"step": 4, "verdict": "at risk", "findings": [{"code": "SG102", "name": "saturated-activation", "severity": "warning", "message": "nn.Sigmoid() takes 3.1 of 4.0 decades", "location": {"path": "train.py", "line": 4, "column": 16, "end_line": 4, "end_column": 28, "source": "        return nn.Sigmoid()(x)"}, "module": "blocks.1", "evidence": [{"name": "derivative rms", "value": 0.01, "unit": "", "expected": "near 1"}], "cures": ["swap it"], "label": "", "consequence": "", "count": 1, "also": [], "explains": []}], "seconds": 0.5, "decades": null, "note": "", "alarm": null}');
CREATE TABLE losses (
  session INTEGER NOT NULL, optimizer INTEGER NOT NULL, level INTEGER NOT NULL, place INTEGER NOT NULL,
  first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL,
  mean REAL, low REAL, high REAL,
  PRIMARY KEY (session, optimizer, level, place)
);
INSERT INTO "losses" VALUES(1,0,0,0,1,1,1,3.0,3.0,3.0);
INSERT INTO "losses" VALUES(1,0,0,1,4,4,1,2.0,2.0,2.0);
CREATE TABLE notes (id INTEGER PRIMARY KEY, session INTEGER NOT NULL, step INTEGER NOT NULL, text TEXT NOT NULL);
INSERT INTO "notes" VALUES(1,1,1,'reads every step');
CREATE TABLE points (
  session INTEGER NOT NULL, optimizer INTEGER NOT NULL, level INTEGER NOT NULL, place INTEGER NOT NULL,
  first INTEGER NOT NULL, last INTEGER NOT NULL,  -- steps
  count INTEGER NOT NULL,   -- rows that were read
  time REAL,                -- of the first step
  high REAL, low REAL,      -- norm of the whole gradient before any clip
  after_high REAL, after_low REAL,  -- and after it
  factor REAL,              -- least factor of the clip
  clipped INTEGER NOT NULL, -- rows with a factor below 1
  rate REAL,
  norms BLOB NOT NULL,      -- geometric mean; NaN = no gradient
  peaks BLOB,               -- maximum; NULL = the same as norms
  PRIMARY KEY (session, optimizer, level, place)
);
INSERT INTO "points" VALUES(1,0,0,0,1,1,1,1700000001.0,2.23606797749979,2.23606797749979,2.23606797749979,2.23606797749979,1.0,0,0.001,X'0000803F00000040',NULL);
INSERT INTO "points" VALUES(1,0,0,1,2,2,1,1700000002.0,2.23606797749979,2.23606797749979,2.23606797749979,2.23606797749979,1.0,0,0.001,X'0000803F00000040',NULL);
INSERT INTO "points" VALUES(1,0,0,2,3,3,1,1700000003.0,2.23606797749979,2.23606797749979,1.11803398874989490252e+00,1.11803398874989490252e+00,0.5,1,0.001,X'0000803F00000040',NULL);
INSERT INTO "points" VALUES(1,0,0,3,4,4,1,1700000004.0,2.23606797749979,2.23606797749979,2.23606797749979,2.23606797749979,1.0,0,0.001,X'0000803F00000040',NULL);
INSERT INTO "points" VALUES(1,0,0,4,5,5,1,1700000005.0,2.23606797749979,2.23606797749979,2.23606797749979,2.23606797749979,1.0,0,0.001,X'0000803F00000040',NULL);
INSERT INTO "points" VALUES(1,0,0,5,6,6,1,1700000006.0,2.23606797749979,2.23606797749979,2.23606797749979,2.23606797749979,1.0,0,0.001,X'0000803F00000040',NULL);
CREATE TABLE sessions (
  number INTEGER PRIMARY KEY,
  started REAL NOT NULL,    -- seconds since the epoch
  written REAL NOT NULL,    -- the last commit
  finished REAL,            -- NULL until it is closed
  host TEXT NOT NULL,
  process INTEGER NOT NULL,
  about TEXT NOT NULL       -- JSON
);
INSERT INTO "sessions" VALUES(1,1700000000.0,1700000000.0,1700000000.0,'somewhere',1,'{"optimizers": "AdamW", "clip": "norm \u2264 1"}');
CREATE TABLE summary (
  session INTEGER NOT NULL, name TEXT NOT NULL, value REAL,
  PRIMARY KEY (session, name)
);
INSERT INTO "summary" VALUES(1,'steps',6.0);
INSERT INTO "summary" VALUES(1,'interval',1.0);
CREATE TABLE watched (
  session INTEGER NOT NULL,
  place INTEGER NOT NULL,   -- depth order
  optimizer INTEGER NOT NULL,
  name TEXT NOT NULL,
  shape TEXT NOT NULL,      -- JSON
  dtype TEXT NOT NULL,
  PRIMARY KEY (session, place)
);
INSERT INTO "watched" VALUES(1,0,0,'a','[4, 4]','float32');
INSERT INTO "watched" VALUES(1,1,0,'b','[4, 4]','float32');
CREATE TABLE weights (
  session INTEGER NOT NULL, optimizer INTEGER NOT NULL, step INTEGER NOT NULL,
  norms BLOB NOT NULL, ratios BLOB NOT NULL,
  PRIMARY KEY (session, optimizer, step)
);
INSERT INTO "weights" VALUES(1,0,4,X'0000803F0000803F',X'6F12833A6F12833A');
COMMIT;

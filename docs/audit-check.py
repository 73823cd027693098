#!/usr/bin/env python3
"""Checks a ledger of gapless without gapless. See docs/audit.md.

  audit-check.py LEDGER.jsonl                    the chain
  audit-check.py LEDGER.jsonl EVENTS.json HOUR   and an hour, such as 2026-11-20T02:00:00Z, against what
                                                 `aws logs filter-log-events` has printed of it
"""
import hashlib, json, sys

text = lambda v: json.dumps(v, sort_keys=True, separators=(",", ":"))
sha = lambda b: hashlib.sha256(b).hexdigest()

def digest(leaves):
    leaves = sorted(leaves, key=lambda l: (l[0].encode(), l[1], l[2]))
    return sha("".join(text(list(l)) + "\n" for l in leaves).encode())

def leaf(e):
    m, h = e["message"], sha(e["message"].encode())
    try:
        o = json.loads(m)
        o = o if "log_id" in o or "data" not in o else o["data"]
        return (o.get("log_id") or o.get("_id") or "sha256-" + h, e["timestamp"], h)
    except (ValueError, AttributeError):
        return ("sha256-" + h, e["timestamp"], h)

entries = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
last = {}
for e in entries:
    body = {k: v for k, v in e.items() if k not in ("hash", "signature")}
    before = last.get(e["chain"])
    if before and before["hash"] == e["hash"]:
        continue  # published twice
    if sha(text(body).encode()) != e["hash"]:
        sys.exit("altered: entry %d of chain %s" % (e["seq"], e["chain"]))
    if e["seq"] != (before["seq"] + 1 if before else 0) or e.get("previous", "") != (before["hash"] if before else ""):
        sys.exit("broken: entry %d of chain %s" % (e["seq"], e["chain"]))
    if "events" in e and digest(map(tuple, e["events"])) != e["digest"]:
        sys.exit("altered: entry %d of chain %s" % (e["seq"], e["chain"]))
    last[e["chain"]] = e
print("%d entries, last %s" % (len(entries), e["hash"]))

if len(sys.argv) > 3:
    there = {leaf(x) for x in json.load(open(sys.argv[2], encoding="utf-8"))["events"]}
    of = [e for e in entries if e.get("from") == sys.argv[3]]
    late = {tuple(l) for e in of if e["kind"] == "late" for l in e["events"]}
    whole = [e for e in of if e["kind"] == "hour"]
    for e in whole:
        if digest(there - late) != e["digest"]:
            sys.exit("the hour does not match: %d events expected, %d there" % (e["count"], len(there - late)))
    if late - there:
        sys.exit("missing or changed: " + ", ".join(sorted(l[0] for l in late - there)))
    print("the hour matches: %d events" % len(there))

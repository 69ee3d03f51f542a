#!/usr/bin/env python3
"""Retail sample: makes bundle/entities.json, intents.jsonl and expected.jsonl from the labelled tool calls.

    python3 make.py FOLDER

FOLDER holds intents.jsonl (a tool call and its label a line), orders.json and users.json; the README says whence.
The rule it keeps: what it writes depends on FOLDER alone and holds only what the catalog declares, so a second run changes
no byte. It does not decide anything: labels are copied, never computed. Catalog, policies and tests are written by hand.
"""

import json
import pathlib
import sys
from collections import Counter

HERE = pathlib.Path(__file__).resolve().parent
AGENT = "spiffe://assent.test/agent/retail-support"
AUDIENCE = "store-api"
DECISIONS = {"permit": "allow", "deny": "deny"}

# Arguments that become the resource or an entity; every other argument goes into the context as it is.
ORDER, USER, PRODUCT, PAYMENT_METHOD = "order_id", "user_id", "product_id", "payment_method_id"
LOOK_UPS = {"email", "first_name"}


def uid(kind, name):
    return {"type": f"Retail::{kind}", "id": name}


def reference(kind, name):
    return {"__entity": uid(kind, name)}


def text(kind, name):
    """An entity as Cedar writes it; JSON's escapes of printable ASCII are Cedar's too."""
    assert name.isascii() and (name.isprintable() or not name), name
    return f"Retail::{kind}::{json.dumps(name)}"


def entity(kind, name, attrs=None, parents=()):
    return {"uid": uid(kind, name), "attrs": attrs or {}, "parents": list(parents)}


def entities(orders, users):
    yield entity("Team", "support")
    yield entity("Agent", AGENT, parents=[uid("Team", "support")])
    yield entity("Store", "main")
    yield entity("Directory", "users", parents=[uid("Store", "main")])
    for user in sorted(users):
        yield entity("User", user)
    for user in sorted(users):
        for method in sorted(users[user]["payment_methods"]):
            yield entity("PaymentMethod", method, {"owner": reference("User", user)})
    for name, order in sorted(orders.items()):
        yield entity(
            "Order",
            name,
            {
                "owner": reference("User", order["user_id"]),
                "status": order["status"],
                "items": sorted(set(order["item_ids"])),
            },
        )


def resource(arguments):
    """What the call is about. Calls of tools that the store does not have are treated alike: their arguments tell."""
    for argument, kind in ((ORDER, "Order"), (USER, "User"), (PRODUCT, "Product")):
        if argument in arguments:
            return text(kind, arguments[argument])
    if LOOK_UPS & arguments.keys():
        return text("Directory", "users")
    return text("Store", "main")


def context(user, arguments):
    values = {"user": reference("User", user)}
    for argument, value in arguments.items():
        if argument == PAYMENT_METHOD:
            values["payment_method"] = reference("PaymentMethod", value)
        elif isinstance(value, list):
            values[argument] = sorted(set(value))
        elif argument not in (ORDER, USER, PRODUCT):
            values[argument] = value
    return values


def intent(row):
    return {
        "action": text("Action", row["tool"]),
        "resource": resource(row["args"]),
        "context": context(row["user"], row["args"]),
        "audience": AUDIENCE,
    }


def expected(row):
    return {"decision": DECISIONS[row["decision"]], "refusal": row["reason"]}


def line(value):
    return json.dumps(value, separators=(",", ":"))


def write(path, lines):
    path.write_text("\n".join(lines) + "\n", encoding="ascii", newline="\n")


def main(folder):
    rows = [json.loads(row) for row in (folder / "intents.jsonl").read_text(encoding="utf-8").splitlines()]
    orders = json.loads((folder / "orders.json").read_text(encoding="utf-8"))
    users = json.loads((folder / "users.json").read_text(encoding="utf-8"))

    snapshot = list(entities(orders, users))
    write(HERE / "bundle" / "entities.json", ["[", ",\n".join(map(line, snapshot)), "]"])
    write(HERE / "intents.jsonl", [line(intent(row)) for row in rows])
    write(HERE / "expected.jsonl", [line(expected(row)) for row in rows])

    for name, count in sorted(Counter(one["uid"]["type"] for one in snapshot).items()):
        print(f"{count:6} {name}")
    for (origin, decision, refusal, why), count in sorted(
        Counter((row["origin"], row["decision"], row["reason"] or "", row["why"] or "") for row in rows).items()
    ):
        print(f"{count:6} {origin:8} {DECISIONS[decision]:6} {refusal:20} {why}".rstrip())
    print(f"{len(rows):6} intents")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("make.py: give the folder of the labelled tool calls: python3 make.py FOLDER")
    main(pathlib.Path(sys.argv[1]))

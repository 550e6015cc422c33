"""SARIF files of any size, made up: 150 rules, results with place, code and fingerprint.

`distinct` is the part of the messages and snippets that no other result has; in real scans it is
anything from nearly none (one message a rule) to all (one package a message).
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

_VOCABULARY = """
account cache client config content context cursor data entry error event field file filter
frame group header image index input item label level line list locale logger map message method
model name node object offset option order output page parser path payload point pool price
queue range record reply request result route row rule schema score sender session size socket
source stage state status stream table target task text thread title total tree user value
vector version view widget window worker writer
"""
_WORDS = tuple(_VOCABULARY.split())
_RULES = 150
_FLOW_EVERY = 40
_SUPPRESSED_EVERY = 60


def write(path: Path, size: int, distinct: float, seed: int = 0) -> int:
    """Write a file of at least `size` bytes, compact, and return how many results it has."""
    random = Random(seed)
    rules = [_rule(random, number) for number in range(_RULES)]
    shared = [_texts(random) for _ in range(400)]
    driver = {"name": "Bench", "semanticVersion": "1.0.0", "rules": rules}
    head = json.dumps({"tool": {"driver": driver}})[:-1]
    written = count = 0
    with path.open("w", encoding="utf-8") as file:
        written += file.write('{"version": "2.1.0", "runs": [' + head + ', "results": [')
        for result in _results(random, [str(rule["id"]) for rule in rules], shared, distinct):
            written += file.write((", " if count else "") + json.dumps(result))
            count += 1
            if written >= size:
                break
        file.write("]}]}")
    return count


def _rule(random: Random, number: int) -> dict[str, object]:
    return {
        "id": f"bench.{random.choice(_WORDS)}.rule-{number}",
        "name": f"Rule{number}",
        "shortDescription": {"text": _prose(random, 10)},
        "help": {"text": _prose(random, 120)},
        "helpUri": f"https://example.org/rules/{number}",
        "defaultConfiguration": {"level": random.choice(("error", "warning", "note"))},
        "properties": {"tags": ["security", f"external/cwe/cwe-{20 + number}"]},
    }


def _results(
    random: Random, rules: list[str], shared: list[tuple[str, str]], distinct: float
) -> Iterator[dict[str, object]]:
    count = 0
    while True:
        count += 1
        message, snippet = _texts(random) if random.random() < distinct else random.choice(shared)
        number, line = random.randrange(len(rules)), random.randrange(1, 2000)
        region = {"startLine": line, "endLine": line + 4, "startColumn": 5, "endColumn": 40}
        where = {
            "artifactLocation": {"uri": _path(random, count // 20), "uriBaseId": "%SRCROOT%"},
            "region": region | {"snippet": {"text": snippet}},
        }
        result: dict[str, object] = {
            "ruleId": rules[number],
            "ruleIndex": number,
            "level": "error",
            "message": {"text": message},
            "locations": [{"physicalLocation": where}],
            "partialFingerprints": {"primary": hashlib.sha256(str(count).encode()).hexdigest()},
        }
        if count % _FLOW_EVERY == 0:
            steps = [{"location": {"physicalLocation": where}} for _ in range(4)]
            result["codeFlows"] = [{"threadFlows": [{"locations": steps}]}]
        if count % _SUPPRESSED_EVERY == 0:
            result["suppressions"] = [{"kind": "inSource", "justification": "reviewed"}]
        yield result


def _path(random: Random, files: int) -> str:
    number = random.randrange(files + 1)
    first, second = _WORDS[number % len(_WORDS)], _WORDS[number // 7 % len(_WORDS)]
    return f"services/{first}/src/{second}_{number}.py"


def _texts(random: Random) -> tuple[str, str]:
    """A message and five lines of code."""
    return f"The {_prose(random, 12)}.", "\n".join(_code(random) for _ in range(5))


def _prose(random: Random, words: int) -> str:
    return " ".join(random.choices(_WORDS, k=words))


def _code(random: Random) -> str:
    one, two, three, four = random.choices(_WORDS, k=4)
    indent = "    " * random.randrange(1, 4)
    return f'{indent}self.{one}_{two} = {three}.get_{four}("{two}", {random.randrange(100)})'

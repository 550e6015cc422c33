"""JavaScript and TypeScript: a fix does what the code did, or there is none."""

from collections.abc import Callable

import pytest

Mend = Callable[..., str | None]

CHILD = "javascript.lang.security.detect-child-process.detect-child-process"
CP = "const { exec } = require('child_process');\n"
TOKEN = "function token() { return Math.random().toString(36).slice(2); }\n"
UNSAFE = [
    # What would work no more, or would not be safe.
    ("a.js", CHILD, CP + "exec(`ls ${dir}`, options, (e) => e);\n"),
    ("a.js", CHILD, CP + "exec(`ls ${dir}`, options);\n"),
    ("a.js", CHILD, "const cp = require('child_process');\ncp.execSync(`ls ${dir}`, options);\n"),
    (
        "a.js",
        CHILD,
        CP + "if (process.platform === 'win32') a();\nexec(`npm i ${name}`, (e) => e);\n",
    ),
    ("a.js", "random", "const inviteToken = Math.random().toString(36).slice(2, 8);\n"),
    ("a.js", "md5", "const h = crypto.createHmac('sha1', secret).update(b).digest('hex');\n"),
    ("a.js", "md5", "function md5(b) { return crypto.createHash('md5').update(b).digest(); }\n"),
    ("a.js", "hardcoded-secret", "const KEY_TOKEN = 'k3yk3yk3';\nif (given === KEY_TOKEN) ok();\n"),
    ("a.ts", "hardcoded-secret", "export const environment = { apiKey: 'k3yk3yk3' };\n"),
    ("a.tsx", "hardcoded-secret", "export const options = { apiKey: 'k3yk3yk3' };\n"),
    ("a.js", "xss", "el.innerHTML = `${getMessage()}`;\n"),
    ("a.js", "cookie", "res.cookie('lang', lang);\n"),
    ("a.ts", "prisma", "p.$queryRawUnsafe(`SELECT a FROM u WHERE b = ${req.params.id}`);\n"),
]


@pytest.mark.parametrize(("path", "rule", "text"), UNSAFE)
def test_what_would_work_no_more_stays(mend: Mend, path: str, rule: str, text: str) -> None:
    """Code that needs what the fix takes away has none, and so has what it would not protect."""
    assert mend(path, text, rule) is None


HEADS = [
    # (a file's head, what stands below it then)
    (
        "// Copyright\n'use strict';\n\n",
        "// Copyright\n'use strict';\n\nconst crypto = require('crypto');\n\n",
    ),
    (
        "/* (c) */\n\n/** Makes. */\n",
        '/* (c) */\n\nconst crypto = require("crypto");\n\n/** Makes. */\n',
    ),
    ("/** Makes. */\n", 'const crypto = require("crypto");\n\n/** Makes. */\n'),
    ("#!/usr/bin/env node\n", '#!/usr/bin/env node\nconst crypto = require("crypto");\n\n'),
    ("export ", 'import * as crypto from "crypto";\n\nexport '),
]


@pytest.mark.parametrize(("head", "wanted"), HEADS)
def test_an_import_stands_below_the_head_of_a_file(mend: Mend, head: str, wanted: str) -> None:
    """Directives and licences stay first, and a module of ECMAScript has no `require`."""
    assert mend("a.js", head + TOKEN, "random") == wanted + TOKEN.replace(
        "Math.random().toString(36).slice(2)", "crypto.randomUUID()"
    )


def test_an_import_that_nothing_uses_goes(mend: Mend) -> None:
    """TypeScript may refuse a name that is imported for nothing."""
    text = "import path from 'path';\nres.sendFile(path.join(ROOT, req.params.n));\n"
    assert mend("a.ts", text, "sendfile") == "res.sendFile(req.params.n, { root: ROOT });\n"


@pytest.mark.parametrize(
    ("path", "rule", "before", "after"),
    [
        (
            "a.ts",
            CHILD,
            "    exec(`ping ${host}`, cb)",
            "    execFile('ping', [host], cb)".replace("'", '"'),
        ),
        (
            "a.ts",
            "sequelize",
            "  async find (q: string) {\n    return sequelize.query(`SELECT * FROM u WHERE a = ${q}`)\n  }",
            (
                "  async find (q: string) {\n    return sequelize.query("
                '"SELECT * FROM u WHERE a = :q", { replacements: { q } })\n  }'
            ),
        ),
        (
            "a.js",
            "bypass-tls-verification",
            "      rejectUnauthorized: false,\n      host",
            None,
        ),
    ],
)
def test_a_part_of_a_file_is_read_in_its_surroundings(
    mend: Mend, path: str, rule: str, before: str, after: str | None
) -> None:
    """Statements and members are mended as they stand; no import is added to them."""
    assert mend(path, before, rule, whole=False) == after


@pytest.mark.parametrize("wait", ["", "await "])
def test_the_types_of_a_call_stay(mend: Mend, wait: str) -> None:
    """A query says what its rows are, before and after."""
    head = 'import { Pool } from "pg";\n'
    text = f'{head}const u = {wait}pool.query<User>("SELECT a FROM u WHERE b = " + id);\n'
    wanted = text.replace('= " + id', '= $1", [id]')
    assert mend("a.ts", text, "js/sql-injection") == wanted

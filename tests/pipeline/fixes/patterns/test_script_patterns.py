"""JavaScript and TypeScript: what becomes of weak code, and what stays as it is."""

from collections.abc import Callable

import pytest

Mend = Callable[..., str | None]

CHILD = "javascript.lang.security.detect-child-process.detect-child-process"
FORMAT = "javascript.lang.security.audit.unsafe-formatstring.unsafe-formatstring"
MYSQL = "const mysql = require('mysql2/promise');\n"
PG = 'import { Pool } from "pg";\n'
CP = "const { exec } = require('child_process');\n"
CP_AFTER = "const { execFile } = require('child_process');\n"

MENDED = [
    # (path, rule, before, after); all are whole files
    (
        "a.js",
        "js/sql-injection",
        MYSQL + "db.query(`SELECT * FROM u WHERE id = ${req.params.id} AND n = '${n}'`, cb);\n",
        MYSQL + "db.query('SELECT * FROM u WHERE id = ? AND n = ?', [req.params.id, n], cb);\n",
    ),
    (
        "a.ts",
        "js/sql-injection",
        PG + 'await pool.query("DELETE FROM u WHERE id = " + id);\n',
        PG + 'await pool.query("DELETE FROM u WHERE id = $1", [id]);\n',
    ),
    (
        "a.ts",
        "pg-sqli",
        PG + "await pool.query(`\n  SELECT * FROM u\n  WHERE n LIKE '%${q}%'\n`);\n",
        PG + "await pool.query(`\n  SELECT * FROM u\n  WHERE n LIKE $1\n`, [`%${q}%`]);\n",
    ),
    (
        "a.ts",
        "express-sequelize-injection",
        "sequelize.query(`SELECT * FROM u WHERE a = '${q}' OR b = '${q}'`, { plain: true });\n",
        (
            "sequelize.query('SELECT * FROM u WHERE a = :q OR b = :q', "
            "{ plain: true, replacements: { q } });\n"
        ),
    ),
    (
        "a.ts",
        "prisma-sql",
        "const u = await prisma.$queryRawUnsafe(`SELECT * FROM u WHERE id = '${id}'`);\n",
        "const u = await prisma.$queryRaw`SELECT * FROM u WHERE id = ${id}`;\n",
    ),
    (
        "a.js",
        "js/sql-injection",
        (
            "import Database from 'better-sqlite3';\nexport const one = (db, id) =>\n"
            "  db.prepare(`SELECT * FROM u WHERE id = ${id} AND n LIKE '${n}%'`).get();\n"
        ),
        (
            "import Database from 'better-sqlite3';\nexport const one = (db, id) =>\n"
            "  db.prepare('SELECT * FROM u WHERE id = ? AND n LIKE ?').get(id, `${n}%`);\n"
        ),
    ),
    (
        "a.js",
        "nosql-injection",
        "const { User } = require('mongoose');\nUser.findOne({ email: req.body.email, a: 1 });\n",
        (
            "const { User } = require('mongoose');\n"
            "User.findOne({ email: { $eq: req.body.email }, a: 1 });\n"
        ),
    ),
    (
        "a.js",
        CHILD,
        CP + "exec(`git log ${ref}`, (error, out) => done(out));\n",
        CP_AFTER + "execFile('git', ['log', ref], (error, out) => done(out));\n",
    ),
    (
        "a.js",
        CHILD,
        (
            "import * as cp from 'node:child_process';\n"
            "cp.execSync('tar xf ' + file + ' -C \"' + dir + '\"', { cwd });\n"
        ),
        (
            "import * as cp from 'node:child_process';\n"
            "cp.execFileSync('tar', ['xf', file, '-C', dir], { cwd });\n"
        ),
    ),
    (
        "a.ts",
        "js/command-line-injection",
        (
            "import { exec } from 'child_process';\nimport { promisify } from 'util';\n"
            "const run = promisify(exec);\nexport const ping = (h: string) => run(`ping ${h}`);\n"
        ),
        (
            "import { execFile } from 'child_process';\nimport { promisify } from 'util';\n"
            "const run = promisify(execFile);\n"
            "export const ping = (h: string) => run('ping', [h]);\n"
        ),
    ),
    (
        "a.js",
        "bypass-tls-verification",
        "https.request({ host, rejectUnauthorized: false });\n",
        "https.request({ host, rejectUnauthorized: true });\n",
    ),
    (
        "a.js",
        "js/disabling-certificate-validation",
        "process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';\n",
        "process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '1';\n",
    ),
    (
        "a.js",
        "weak-tls",
        'tls.connect({ minVersion: "TLSv1" });\n',
        'tls.connect({ minVersion: "TLSv1.2" });\n',
    ),
    (
        "a.js",
        "js/weak-cryptographic-algorithm-md5",
        "const h = crypto.createHash('md5').update(body).digest('hex');\n",
        "const h = crypto.createHash('sha256').update(body).digest('hex');\n",
    ),
    (
        "a.js",
        "express-cookie",
        "res.cookie('sid', sid);\n",
        "res.cookie('sid', sid, { httpOnly: true, secure: true, sameSite: 'lax' });\n",
    ),
    (
        "a.js",
        "express-cookie",
        "res\n  .status(200)\n  .cookie('sid', sid, {\n    httpOnly: false,\n    maxAge,\n  });\n",
        (
            "res\n  .status(200)\n  .cookie('sid', sid, {\n    httpOnly: true,\n    maxAge,\n"
            "    secure: true,\n    sameSite: 'lax',\n  });\n"
        ),
    ),
    (
        "a.js",
        "express-cookie-session-no-secure",
        "const session = require('express-session');\napp.use(session({ secret, cookie: { httpOnly: true } }));\n",
        (
            "const session = require('express-session');\n"
            "app.use(session({ secret, cookie: { httpOnly: true, secure: true, sameSite: 'lax' } }));\n"
        ),
    ),
    (
        "a.js",
        "cors-misconfiguration",
        "const cors = require('cors');\napp.use(cors({ origin: '*', credentials: true }));\n",
        (
            "const cors = require('cors');\n"
            "app.use(cors({ origin: (process.env.CORS_ORIGINS ?? '').split(','), credentials: true }));\n"
        ),
    ),
    (
        "a.js",
        "jwt-none-alg",
        "jwt.verify(t, key, { algorithms: ['none', 'HS256'] });\n",
        "jwt.verify(t, key, { algorithms: ['HS256'] });\n",
    ),
    (
        "a.js",
        "express-check-helmet",
        (
            "const express = require('express');\nconst helmet = require('helmet');\n"
            "const app = express();\napp.get('/', home);\n"
        ),
        (
            "const express = require('express');\nconst helmet = require('helmet');\n"
            "const app = express();\napp.use(helmet());\napp.get('/', home);\n"
        ),
    ),
    ("a.js", "js/xss", "el.innerHTML = user.name;\n", "el.textContent = user.name;\n"),
    ("a.js", "jquery-xss", "$('#a').html(message);\n", "$('#a').text(message);\n"),
    (
        "a.js",
        "insecure-document-method",
        "document.write('Hello ' + name);\n",
        "document.body.append('Hello ' + name);\n",
    ),
    (
        "a.tsx",
        "react-dangerouslysetinnerhtml",
        (
            "import DOMPurify from 'dompurify';\n"
            "const a = <p dangerouslySetInnerHTML={{ __html: post.body }} />;\n"
        ),
        (
            "import DOMPurify from 'dompurify';\n"
            "const a = <p dangerouslySetInnerHTML={{ __html: DOMPurify.sanitize(post.body) }} />;\n"
        ),
    ),
    (
        "a.js",
        FORMAT,
        "console.log(`got ${name}: 100%`, error);\n",
        'console.log("got %s: 100%%", name, error);\n',
    ),
    (
        "a.ts",
        FORMAT,
        "console.error('Error in ' + name, error)\n",
        "console.error('Error in %s', name, error)\n",
    ),
    ("a.js", "eval-detected", "x = eval('(' + text + ')');\n", "x = JSON.parse(text);\n"),
    (
        "a.js",
        "path-join-resolve-traversal",
        (
            "const path = require('path');\napp.get('/:n', (req, res) => {\n"
            "  const file = path.join(FILES, req.params.n);\n  res.sendFile(file);\n});\n"
        ),
        (
            "const path = require('path');\napp.get('/:n', (req, res) => {\n"
            "  const file = path.resolve(path.join(FILES, req.params.n));\n"
            "  if (!file.startsWith(path.resolve(FILES) + path.sep)) {\n"
            "    res.sendStatus(404);\n    return;\n  }\n  res.sendFile(file);\n});\n"
        ),
    ),
    (
        "a.js",
        CHILD,
        CP + "exec(`kill ${req.params.pid} ${req.query.name}`);\n",
        CP_AFTER + "execFile('kill', [String(req.params.pid), req.query.name]);\n",
    ),
    (
        "a.cjs",
        CHILD,
        (
            "const { execSync } = require('child_process');\n"
            "execSync(`gh pr comment ${n} -b '${text.replace(/'/g, \"'\\\\''\")}' > /dev/null`, { stdio: 'pipe' });\n"
        ),
        (
            "const { execFileSync } = require('child_process');\n"
            "execFileSync('gh', ['pr', 'comment', String(n), '-b', text], { stdio: 'pipe' });\n"
        ),
    ),
    (
        "a.ts",
        "express-res-sendfile",
        "res.sendFile(path.resolve('ftp/', file));\n",
        "res.sendFile(file, { root: 'ftp/' });\n",
    ),
    (
        "a.js",
        "express-res-sendfile",
        "res.sendFile(path.join(__dirname, 'files', req.params.n), done);\n",
        "res.sendFile(req.params.n, { root: path.join(__dirname, 'files') }, done);\n",
    ),
    (
        "a.js",
        "js/insecure-randomness",
        (
            "'use strict';\n\nfunction makeToken() {\n"
            "  return Math.random().toString(36).slice(2);\n}\n"
        ),
        (
            "'use strict';\n\nconst crypto = require('crypto');\n\nfunction makeToken() {\n"
            "  return crypto.randomUUID();\n}\n"
        ),
    ),
    (
        "a.ts",
        "rule-node-insecure-random-generator",
        "import fs from 'node:fs';\nexport const otp = Math.floor(1000 + Math.random() * 9000);\n",
        (
            "import fs from 'node:fs';\nimport * as crypto from 'node:crypto';\n"
            "export const otp = crypto.randomInt(1000, 10000);\n"
        ),
    ),
    (
        "a.js",
        "possible-timing-attacks",
        (
            "const crypto = require('crypto');\nfunction ok(given, body) {\n"
            "  const mac = crypto.createHmac('sha256', key).update(body).digest('hex');\n"
            "  return given === mac;\n}\n"
        ),
        (
            "const crypto = require('crypto');\nfunction ok(given, body) {\n"
            "  const mac = crypto.createHmac('sha256', key).update(body).digest('hex');\n"
            "  return (typeof given === 'string' && Buffer.byteLength(given) === mac.length && "
            "crypto.timingSafeEqual(Buffer.from(given), Buffer.from(mac)));\n}\n"
        ),
    ),
    (
        "a.js",
        "hardcoded-jwt-secret",
        "const token = jwt.sign(user, 'shhhhhhh');\n",
        "const token = jwt.sign(user, process.env.JWT_SECRET);\n",
    ),
    (
        "a.ts",
        "hardcoded-credentials",
        "export const options = { apiKey: 'k3yk3yk3y', page: 'abcdefgh' };\n",
        "export const options = { apiKey: process.env.API_KEY as string, page: 'abcdefgh' };\n",
    ),
]

UNTOUCHED = [
    ("a.js", "js/sql-injection", MYSQL + "db.query(`SELECT * FROM ${table} WHERE a = ${a}`);\n"),
    ("a.js", "js/sql-injection", MYSQL + "db.query('SELECT * FROM u WHERE a = ?', [a]);\n"),
    ("a.js", "js/sql-injection", MYSQL + "db.query(`SELECT * FROM u WHERE a = ${a} ${where}`);\n"),
    (
        "a.js",
        "js/sql-injection",
        MYSQL + "db.query(`SELECT * FROM u WHERE a = ${db.escape(a)}`);\n",
    ),
    ("a.js", "js/sql-injection", "db.query(`SELECT * FROM u WHERE a = ${a}`);\n"),
    ("a.js", "js/sql-injection", "User.findOne({ where: { id: req.body.id } });\n"),
    ("a.js", CHILD, "const m = /x/.exec(`a ${b}`);\n"),
    ("a.js", CHILD, CP + "exec(`cat ${a} | wc -l`, cb);\n"),
    ("a.js", CHILD, CP + "exec(`${tool} --version`, cb);\n"),
    ("a.js", CHILD, CP + "exec(command, cb);\n"),
    ("a.ts", CHILD, CP + "const line: string = `ls ${a}`;\nexec(line, cb);\n"),
    ("a.js", CHILD, CP + "exec(`ls ${a} > /dev/null`, cb);\n"),
    ("a.js", CHILD, CP + "exec(`ls ${a}`, { shell: '/bin/zsh' }, cb);\n"),
    ("a.js", "tls-verification", "https.request({ rejectUnauthorized: strict });\n"),
    ("a.js", "md5", "const stored = crypto.createHash('md5').update(password).digest();\n"),
    ("a.js", "cookie", "res.cookie('a', b, options);\n$.cookie('a', 'b');\n"),
    ("a.js", "cookie", "res.cookie('a', b, { ...base });\n"),
    ("a.js", "cookie", "res.cookie('XSRF-TOKEN', b);\n"),
    ("a.js", "md5", "const etag = crypto.createHash('md5').update(body).digest('hex');\n"),
    ("a.js", "sendfile", "res.sendFile(path.join(__dirname, 'index.html'));\n"),
    ("a.js", "random", "const token = Math.floor(Math.random() * 1.5);\n"),
    ("a.js", "cors", "const cors = require('cors');\napp.use(cors({ origin: ORIGINS }));\n"),
    ("a.js", "jwt", "jwt.verify(t, key, { algorithms: ['none'] });\n"),
    ("a.js", "xss", "el.innerHTML = html;\nel.innerHTML = `<b>${name}</b>`;\n"),
    ("a.js", "xss", "el.innerHTML = sanitize(name);\nel.innerHTML = '';\n"),
    ("a.js", "xss", "el.innerHTML = titleHtml;\ndocument.write(page);\n"),
    ("a.tsx", "xss", "const a = <p dangerouslySetInnerHTML={{ __html: x }} />;\n"),
    ("a.js", FORMAT, "console.log(`a ${b}`);\nconsole.log('a %s', b);\n"),
    ("a.js", FORMAT, "console.log(`a %d ${b}`, c);\nlogger.log(`a ${b}`, c);\n"),
    ("a.js", "eval-detected", "eval(expression);\neval('a' + b);\n"),
    ("a.js", "random", "const price = Math.floor(Math.random() * 9);\n"),
    ("a.js", "random", "function crypto() {}\nconst x = Math.random();\n"),
    ("a.js", "timing", "if (password !== passwordRepeat) { fail(); }\n"),
    (
        "a.js",
        "hardcoded-secret",
        "const label = { password: 'Your password please', token: '' };\n",
    ),
    ("a.js", "hardcoded-secret", "document.title = 'a';\nconst apiKey = 'abcdefgh';\n"),
]


@pytest.mark.parametrize(("path", "rule", "before", "after"), MENDED)
def test_weak_script_is_mended(mend: Mend, path: str, rule: str, before: str, after: str) -> None:
    """The weakness goes, the imports that the fix needs come, and nothing else changes."""
    assert mend(path, before, rule) == after


def test_a_callback_is_none_of_the_call(mend: Mend) -> None:
    """A finding in the callback of a query is not about the query."""
    text = (
        MYSQL
        + "db.query(\n  'SELECT * FROM u WHERE a = ' + a,\n  (e, rows) => {\n    f();\n  });\n"
    )
    wanted = text.replace("a = ' + a", "a = ?',\n  [a]")
    assert mend("a.js", text, "js/sql-injection", line=2) == wanted
    assert mend("a.js", text, "js/sql-injection", line=3) == wanted
    assert mend("a.js", text, "js/sql-injection", line=5) is None


@pytest.mark.parametrize(("path", "rule", "text"), UNTOUCHED)
def test_script_that_only_looks_weak_stays(mend: Mend, path: str, rule: str, text: str) -> None:
    """Code that is right, and code that cannot be mended without guessing, has no fix."""
    assert mend(path, text, rule) is None

"""Python: SQL and command lines, with values from outside in them."""

from collections.abc import Callable

import pytest

Mend = Callable[..., str | None]

SQL = [
    (
        "sqlite3",
        "cur.execute(f\"SELECT * FROM u WHERE id = {uid} AND n = '{n}'\")",
        'cur.execute("SELECT * FROM u WHERE id = ? AND n = ?", (uid, n))',
    ),
    (
        "sqlite3",
        'cur.execute("SELECT * FROM u WHERE n = \'" + n + "\' ORDER BY n")',
        'cur.execute("SELECT * FROM u WHERE n = ? ORDER BY n", (n,))',
    ),
    (
        "psycopg2",
        "cur.execute(\"SELECT * FROM u WHERE n = '%s' AND d LIKE 'a%%'\" % n)",
        "cur.execute(\"SELECT * FROM u WHERE n = %s AND d LIKE 'a%%'\", (n,))",
    ),
    (
        "pymysql",
        "cur.execute(\"INSERT INTO u (a, b) VALUES ({}, '{}')\".format(a, b))",
        'cur.execute("INSERT INTO u (a, b) VALUES (%s, %s)", (a, b))',
    ),
    (
        "sqlite3",
        "cur.execute(f\"SELECT * FROM u WHERE n LIKE '%{q}%'\")",
        'cur.execute("SELECT * FROM u WHERE n LIKE ?", (f"%{q}%",))',
    ),
    (
        "asyncpg",
        'row = conn.fetchrow(f"SELECT * FROM u WHERE a = {a} AND b = {b}")',
        'row = conn.fetchrow("SELECT * FROM u WHERE a = $1 AND b = $2", a, b)',
    ),
    (
        "psycopg",
        'cur.execute(f"""UPDATE u\n   SET n = \'{n}\'\n   WHERE id = {uid}""")',
        'cur.execute("""UPDATE u\n   SET n = %s\n   WHERE id = %s""", (n, uid))',
    ),
]

TALL_SQL = (
    "import psycopg2\n\ncur.execute(\n    f'''\n    SELECT a FROM u\n    WHERE b = {b}\n    '''\n)\n",
    (
        "import psycopg2\n\ncur.execute(\n    '''\n    SELECT a FROM u\n    WHERE b = %s\n    ''',"
        "\n    (b,),\n)\n"
    ),
)

NO_SQL = [
    ("sqlite3", 'cur.execute(f"SELECT * FROM {table} WHERE id = {uid}")'),
    ("sqlite3", 'cur.execute(f"SELECT * FROM u ORDER BY {column}")'),
    ("sqlite3", 'cur.execute(f"SELECT * FROM u WHERE id IN ({ids})")'),
    ("sqlite3", 'cur.execute(f"SELECT * FROM u WHERE {where}")'),
    ("sqlite3", 'cur.execute(f"SELECT * FROM u WHERE a = {column_name}")'),
    ("sqlite3", 'cur.execute(f"SELECT * FROM u WHERE a = {a:>3}")'),
    ("sqlite3", 'cur.execute(f"SELECT * FROM u WHERE a = {a} AND b = ?", (b,))'),
    ("sqlite3", "cur.execute(\"SELECT * FROM u WHERE n = 'it''s \" + n + \"'\")"),
    ("sqlite3", 'cur.execute("SELECT * FROM u WHERE id = ?", (uid,))'),
    ("sqlite3", 'cur.execute(f"Hello = {name}")'),
    ("psycopg2", 'cur.execute(f"SELECT * FROM u WHERE a = {quote(a)}")'),
    ("unknown_driver", 'cur.execute(f"SELECT * FROM u WHERE id = {uid}")'),
    ("asyncpg", 'conn.fetch(f"SELECT * FROM u WHERE id = {request.args[0]}")'),
    ("sqlite3", 'print "a"\ncur.execute(f"SELECT * FROM u WHERE id = {uid}")'),
    ("sqlite3, psycopg2", 'cur.execute(f"SELECT * FROM u WHERE id = {uid}")'),
]


@pytest.mark.parametrize(("driver", "before", "after"), SQL)
def test_values_are_bound_as_the_driver_wants(
    mend: Mend, driver: str, before: str, after: str
) -> None:
    """Placeholders are the driver's own, quotes around them go, and values follow in order."""
    head = f"import {driver}\n\n"
    assert mend("db.py", head + before + "\n", "B608") == head + after + "\n"


def test_a_call_over_several_lines_keeps_its_layout(mend: Mend) -> None:
    """Values get a line of their own where the statement has its own lines."""
    assert mend("db.py", TALL_SQL[0], "B608", line=4) == TALL_SQL[1]


@pytest.mark.parametrize(("driver", "text"), NO_SQL)
def test_what_may_be_no_value_is_not_bound(mend: Mend, driver: str, text: str) -> None:
    """Names, lists and pieces of SQL are left alone, and so is SQL of an unknown driver."""
    assert mend("db.py", f"import {driver}\n\n{text}\n", "B608") is None


def test_a_query_in_a_variable_is_mended_at_both_places(mend: Mend) -> None:
    """The scanner may flag either line; both change."""
    text = (
        "import sqlite3\n\ndef one(db, uid):\n"
        '    query = f"SELECT * FROM u WHERE id = {uid}"\n'
        "    cur = db.cursor()\n    cur.execute(query)\n    return cur.fetchone()\n"
    )
    wanted = text.replace('f"', '"').replace("{uid}", "?").replace("(query)", "(query, (uid,))")
    assert mend("db.py", text, "B608", line=4) == wanted
    assert mend("db.py", text, "B608", line=6) == wanted
    assert mend("db.py", text, "B608", line=7) is None


@pytest.mark.parametrize(
    "line", ["    uid = 3\n", "    print(query)\n", "    query += ' LIMIT 1'\n"]
)
def test_a_query_that_is_more_than_one_use_stays(mend: Mend, line: str) -> None:
    """A value that changes in between, and a query that is used twice, cannot be mended."""
    text = (
        "import sqlite3\n\ndef one(cur, uid):\n"
        f'    query = f"SELECT * FROM u WHERE id = {{uid}}"\n{line}    cur.execute(query)\n'
    )
    assert mend("db.py", text, "B608") is None


def test_sqlalchemy_text_gets_names(mend: Mend) -> None:
    """The placeholders of `text` are called as the values are, in a part of a file too."""
    text = "r = s.execute(text(f\"SELECT * FROM u WHERE a = '{user.id}' AND b = {org.id}\"))"
    wanted = (
        'r = s.execute(text("SELECT * FROM u WHERE a = :id AND b = :id_"), '
        '{"id": user.id, "id_": org.id})'
    )
    assert mend("db.py", text, "avoid-sqlalchemy-text", whole=False) == wanted


COMMANDS = [
    (
        "subprocess.run(f\"git log {ref} --author='{who}'\", shell=True, check=True)",
        'subprocess.run(["git", "log", ref, f"--author={who}"], check=True)',
    ),
    ('subprocess.call("ls -l", shell=True)', 'subprocess.call(["ls", "-l"])'),
    ("subprocess.Popen([tool, name], shell=True)", "subprocess.Popen([tool, name])"),
    (
        'subprocess.check_output("nc -z " + host + " " + port, shell=True)',
        'subprocess.check_output(["nc", "-z", host, port])',
    ),
    (
        'subprocess.run("cat {}".format(shlex.quote(name)), shell=True)',
        'subprocess.run(["cat", name])',
    ),
]


@pytest.mark.parametrize(("before", "after"), COMMANDS)
def test_a_command_line_becomes_a_list(mend: Mend, before: str, after: str) -> None:
    """Words that the shell would split at spaces are the arguments, without a shell."""
    head = "import shlex\nimport subprocess\n\nx = shlex\n"
    assert mend("run.py", f"{head}{before}\n", "B602") == f"{head}{after}\n"


@pytest.mark.parametrize(
    "text",
    [
        'subprocess.run("ls | grep " + name, shell=True)',
        'subprocess.run(f"rm -rf {folder}/*", shell=True)',
        'subprocess.run(f"echo $HOME {a}", shell=True)',
        'subprocess.run(f"cd {folder} && make", shell=True)',
        'subprocess.run(f"{tool} -l", shell=True)',
        'subprocess.run(f"git {args}", shell=True)',
        'subprocess.run(f"A=1 git {a}", shell=True)',
        "subprocess.run(command, shell=True)",
        'subprocess.run(["git", "log"])',
    ],
)
def test_what_needs_a_shell_keeps_it(mend: Mend, text: str) -> None:
    """Pipes, globs, variables, built-ins and values that may be several words have no fix."""
    assert mend("run.py", f"import subprocess\n\n{text}\n", "B602") is None


def test_os_system_and_popen_are_replaced(mend: Mend) -> None:
    """A status or an output that is used is that of `subprocess.run`."""
    text = (
        'import os\n\ndef f(host):\n    os.system("ping " + host)\n'
        '    if os.system(f"ping {host}") != 0:\n        return ""\n'
        '    return os.popen(f"dig {host}").read()\n'
    )
    run = 'subprocess.run(["ping", host], check=False)'
    assert mend("run.py", text, "B605") == (
        f"import subprocess\n\ndef f(host):\n    {run}\n"
        f'    if {run}.returncode != 0:\n        return ""\n'
        '    return subprocess.run(["dig", host], stdout=subprocess.PIPE, text=True, '
        "check=False).stdout\n"
    )

"""Go, C and PHP: what becomes of weak code, and what stays as it is."""

from collections.abc import Callable, Sequence

import pytest

Mend = Callable[..., str | None]


def go(imports: Sequence[str], body: str) -> str:
    """Return a file with an HTTP handler of these lines."""
    listed = "".join(f"\t{name}\n" for name in imports)
    lines = "".join(f"\t{line}\n" for line in body.splitlines())
    head = f"package main\n\nimport (\n{listed})\n\n"
    return f"{head}func f(w http.ResponseWriter, r *http.Request) {{\n{lines}}}\n"


SQL, PQ, MYSQL = '"database/sql"', '_ "github.com/lib/pq"', '_ "github.com/go-sql-driver/mysql"'
FMT = '"fmt"'

MENDED = [
    (
        "G201",
        (
            [SQL, FMT, PQ],
            "db.Query(fmt.Sprintf(\"SELECT * FROM u WHERE a = %d AND b = '%s'\", a, b))",
        ),
        ([SQL, PQ], 'db.Query("SELECT * FROM u WHERE a = $1 AND b = $2", a, b)'),
    ),
    (
        "G202",
        (
            [SQL, MYSQL],
            'q := "SELECT * FROM u WHERE a = \'" + a + "\'"\nrows, err := db.QueryContext(ctx, q)',
        ),
        (
            [SQL, MYSQL],
            'q := "SELECT * FROM u WHERE a = ?"\nrows, err := db.QueryContext(ctx, q, a)',
        ),
    ),
    (
        "G204",
        (['"os/exec"'], 'exec.Command("sh", "-c", "ping -c 1 "+host).Run()'),
        (['"os/exec"'], 'exec.Command("ping", "-c", "1", host).Run()'),
    ),
    (
        "G402",
        (['"crypto/tls"'], "c := &tls.Config{InsecureSkipVerify: true}"),
        (['"crypto/tls"'], "c := &tls.Config{InsecureSkipVerify: false}"),
    ),
    (
        "missing-ssl-minversion",
        (['"crypto/tls"'], "c := &tls.Config{\n\tServerName: name,\n}"),
        (
            ['"crypto/tls"'],
            "c := &tls.Config{\n\tServerName: name,\n\tMinVersion: tls.VersionTLS12,\n}",
        ),
    ),
    (
        "cookie-missing-httponly",
        (['"net/http"'], 'http.SetCookie(w, &http.Cookie{Name: "a", Value: b, Secure: false})'),
        (
            ['"net/http"'],
            (
                'http.SetCookie(w, &http.Cookie{Name: "a", Value: b, Secure: true, HttpOnly: true, '
                "SameSite: http.SameSiteLaxMode})"
            ),
        ),
    ),
    (
        "cookie-missing-secure",
        (['"net/http"'], 'c := http.Cookie{\n\tName:  "a",\n\tValue: b,\n\tHttpOnly: true,\n}'),
        (
            ['"net/http"'],
            (
                'c := http.Cookie{\n\tName:     "a",\n\tValue:    b,\n\tHttpOnly: true,\n'
                "\tSecure:   true,\n\tSameSite: http.SameSiteLaxMode,\n}"
            ),
        ),
    ),
    (
        "G401",
        (['"crypto/md5"', FMT], 'fmt.Printf("%x", md5.Sum(b))'),
        (['"crypto/sha256"', FMT], 'fmt.Printf("%x", sha256.Sum256(b))'),
    ),
    ("G404", (['"math/rand"'], "rand.Read(key)"), (['"crypto/rand"'], "rand.Read(key)")),
    (
        "import-text-template",
        (['"net/http"', '"text/template"'], 't := template.Must(template.New("a").Parse(page))'),
        (['"html/template"', '"net/http"'], 't := template.Must(template.New("a").Parse(page))'),
    ),
    (
        "go/path-injection",
        (['"path/filepath"'], 'n := r.URL.Query().Get("n")\np := filepath.Join(base, n)\nserve(p)'),
        (
            ['"path/filepath"'],
            (
                'n := r.URL.Query().Get("n")\nif !filepath.IsLocal(n) {\n\thttp.NotFound(w, r)\n'
                "\treturn\n}\np := filepath.Join(base, n)\nserve(p)"
            ),
        ),
    ),
    (
        "G306",
        (['"os"'], "os.WriteFile(p, b, 0644)"),
        (['"os"'], "os.WriteFile(p, b, 0600)"),
    ),
    (
        "G114",
        (['"net/http"'], 'http.ListenAndServe(":80", nil)'),
        (
            ['"net/http"', '"time"'],
            '(&http.Server{Addr: ":80", ReadHeaderTimeout: 10 * time.Second}).ListenAndServe()',
        ),
    ),
    (
        "G101",
        ([FMT], 'apiKey := "k3yk3yk3y"\nfmt.Println(apiKey)'),
        ([FMT, '"os"'], 'apiKey := os.Getenv("API_KEY")\nfmt.Println(apiKey)'),
    ),
]

UNTOUCHED = [
    ("G201", [SQL, FMT, PQ], 'db.Query(fmt.Sprintf("SELECT * FROM %s WHERE a = %d", t, a))'),
    ("G201", [SQL, FMT, PQ], 'db.Query(fmt.Sprintf("SELECT * FROM u WHERE a = %q", a))'),
    ("G201", [SQL, FMT], 'db.Query(fmt.Sprintf("SELECT * FROM u WHERE a = %d", a))'),
    ("G201", [SQL, FMT, PQ, MYSQL], 'db.Query("SELECT * FROM u WHERE a = " + a)'),
    ("G204", ['"os/exec"'], 'exec.Command("sh", "-c", "cat "+a+" | wc").Run()'),
    ("G204", ['"os/exec"', FMT], 'exec.Command("sh", "-c", fmt.Sprintf("ping %s", a)).Run()'),
    ("G204", ['"os/exec"'], 'exec.Command("git", "log", a).Run()'),
    ("G402", ['"crypto/tls"'], "c := &tls.Config{InsecureSkipVerify: insecure, MinVersion: v}"),
    ("G401", ['"crypto/md5"'], "var sum [16]byte = md5.Sum(b)"),
    ("G401", ['"crypto/md5"'], "stored := md5.Sum([]byte(password))"),
    ("G401", ['"crypto/md5"'], "etag := md5.Sum(b)"),
    ("cookie", ['"net/http"'], 'http.SetCookie(w, &http.Cookie{Name: "csrf", Value: b})'),
    ("G404", ['"math/rand"'], "rand.Read(b)\nn := rand.Intn(3)"),
    ("import-text-template", ['"text/template"'], 't := template.New("a")'),
    ("go/path-injection", ['"path/filepath"'], 'p := filepath.Join(base, "a.txt")'),
    ("go/path-injection", ['"path/filepath"'], "p := filepath.Join(base, name)"),
    ("G306", ['"os"'], "os.WriteFile(p, b, 0600)\nos.Mkdir(p, 0700)\nos.Mkdir(p, mode)"),
    ("G306", ['"os"'], "os.WriteFile(script, b, 0755)"),
    ("G401", ['"crypto/hmac"', '"crypto/sha1"'], "m := hmac.New(sha1.New, key)"),
    ("G401", ['"crypto/md5"'], "md5sum := md5.Sum(b)"),
    (
        "go/path-injection",
        ['"path/filepath"'],
        "n := r.URL.Path\np := filepath.Join(base, n)\nserve(p)",
    ),
    ("G101", [FMT], 'secret := "k3yk3yk3y"\nsign([]byte(secret))'),
    ("G101", [FMT], 'token := "k3yk3yk3y"\nif given == token {\n}'),
    ("G101", [FMT], 'passwordField := "password"\ntoken := read()'),
]


@pytest.mark.parametrize(("rule", "before", "after"), MENDED)
def test_weak_go_is_mended(
    mend: Mend, rule: str, before: tuple[list[str], str], after: tuple[list[str], str]
) -> None:
    """The weakness goes, and imports come and go with it, as the compiler demands."""
    assert mend("main.go", go(*before), rule) == go(*after)


@pytest.mark.parametrize(("rule", "imports", "body"), UNTOUCHED)
def test_go_that_only_looks_weak_stays(
    mend: Mend, rule: str, imports: list[str], body: str
) -> None:
    """Code that is right, and code that cannot be mended without guessing, has no fix."""
    assert mend("main.go", go(imports, body), rule) is None


def test_one_of_two_uses_keeps_the_old_import(mend: Mend) -> None:
    """Only the flagged digest changes; the other one still needs its package."""
    text = go(['"crypto/md5"', FMT], "fmt.Println(md5.Sum(a))\nfmt.Println(md5.Sum(b))")
    wanted = go(
        ['"crypto/md5"', '"crypto/sha256"', FMT],
        "fmt.Println(sha256.Sum256(a))\nfmt.Println(md5.Sum(b))",
    )
    assert mend("main.go", text, "G401", line=9) == wanted


C = "#include <stdio.h>\n#include <string.h>\n\nint f(char *given) {\n    char name[20];\n    LINE;\n}\n"


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        (
            "insecure-use-strcpy-fn",
            "strcpy(name, given);",
            'snprintf(name, sizeof(name), "%s", given);',
        ),
        (
            "cpp/unbounded-write",
            'sprintf(name, "a %s", given);',
            'snprintf(name, sizeof(name), "a %s", given);',
        ),
        (
            "insecure-use-strcat-fn",
            "strcat(name, given);",
            "strncat(name, given, sizeof(name) - strlen(name) - 1);",
        ),
        (
            "insecure-use-gets-fn",
            "gets(name);",
            "fgets(name, sizeof(name), stdin);\n    name[strcspn(name, \"\\n\")] = '\\0';",
        ),
        ("cpp/tainted-format-string", "printf(given);", 'printf("%s", given);'),
        ("insecure-use-printf-fn", "fprintf(stderr, given);", 'fprintf(stderr, "%s", given);'),
    ],
)
def test_weak_c_is_mended(mend: Mend, rule: str, before: str, after: str) -> None:
    """A copy gets the limit of the array that is in sight, and a format is a constant."""
    assert mend("a.c", C.replace("LINE;", before), rule) == C.replace("LINE;", after)


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("insecure-use-strcpy-fn", "strcpy(given, name);"),
        ("insecure-use-strcpy-fn", 'strcpy(name, "abc");'),
        ("insecure-use-strcpy-fn", "strcpy(other->name, given);"),
        ("format-string", 'printf("abc");'),
        ("format-string", "printf(GREETING);"),
        ("format-string", 'printf("%d", 3);'),
        ("insecure-use-strcpy-fn", "char *end = strcpy(name, given);"),
        ("insecure-use-gets-fn", "if (given) gets(name);"),
        ("information-leak", "printf(given);"),
    ],
)
def test_c_whose_size_is_not_in_sight_stays(mend: Mend, rule: str, line: str) -> None:
    """A pointer's size is not that of what it points to."""
    assert mend("a.c", C.replace("LINE;", line), rule) is None


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        (
            "echoed-request",
            "echo '<b>' . $_GET['a'];",
            "echo '<b>' . htmlspecialchars($_GET['a'], ENT_QUOTES, 'UTF-8');",
        ),
        (
            "php/unserialize-use",
            "$a = unserialize($b);",
            "$a = unserialize($b, ['allowed_classes' => false]);",
        ),
        (
            "curl-ssl-verifypeer-off",
            "curl_setopt($c, CURLOPT_SSL_VERIFYPEER, false);",
            "curl_setopt($c, CURLOPT_SSL_VERIFYPEER, true);",
        ),
    ],
)
def test_weak_php_is_mended(mend: Mend, rule: str, before: str, after: str) -> None:
    """Output is escaped, objects are refused, certificates are checked."""
    assert mend("a.php", f"<?php\n{before}\n", rule) == f"<?php\n{after}\n"


def test_a_function_that_is_not_declared_is_not_called(mend: Mend) -> None:
    """`snprintf` needs `<stdio.h>`."""
    text = C.replace("#include <stdio.h>\n", "").replace("LINE;", "strcpy(name, given);")
    assert mend("a.c", text, "strcpy") is None


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("echoed-request", "echo strlen($_GET['a']);"),
        ("echoed-request", "echo htmlspecialchars($_GET['a']);"),
        ("php/unserialize-use", "$a = unserialize($b, $options);"),
        ("curl-ssl", "curl_setopt($c, CURLOPT_SSL_VERIFYPEER, $strict);"),
        ("php/unserialize-use", "$a = unserialize($b); $a->run();"),
        ("php/unserialize-use", "unserialize($b)->run();"),
    ],
)
def test_php_that_only_looks_weak_stays(mend: Mend, rule: str, line: str) -> None:
    """What is escaped or set already is left alone."""
    assert mend("a.php", f"<?php\n{line}\n", rule) is None

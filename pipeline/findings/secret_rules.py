"""What a secret looks like: token families by their fixed marks, and values by their key's name.

The families and their marks are those that the services document and that the rule sets of
gitleaks and detect-secrets share; each pattern is linear in the text. A mark is enough for most; a
rule with `entropy` asks for that many bits a character as well, because its form alone also
matches plain words and hashes.
"""

import re
from collections import Counter
from collections.abc import Callable
from math import log2

import msgspec


class SecretRule(msgspec.Struct, frozen=True, kw_only=True):
    """One family; group `value`, or the whole match, is the secret.

    A text without any of the `marks`, in lower case, cannot match: looking for them first is what
    makes forty patterns over every text affordable. For the same reason an ASCII text is only tried
    where one of the `starts` stands, which every match begins with; and not at all without all of
    `also` or, for a rule with a `run`, without RUN characters of a token in a row and one of the
    marks that it names, in the case that the pattern wants.
    """

    kind: str
    marks: tuple[str, ...]
    pattern: re.Pattern[str]
    entropy: float = 0.0
    starts: tuple[str, ...] = ()
    also: str = ""
    run: tuple[str, ...] = ()

    def sub(self, hide: Callable[[re.Match[str]], str], text: str) -> str:
        """The text with every match replaced; as `pattern.sub`, and faster."""
        if not self.starts or not text.isascii():
            return self.pattern.sub(hide, text)
        pieces: list[str] = []
        end = 0
        for start in _positions(text.lower(), self.starts):
            if start >= end and (match := self.pattern.match(text, start)):
                pieces += text[end:start], hide(match)
                end = match.end()
        return "".join((*pieces, text[end:])) if pieces else text


def _positions(text: str, words: tuple[str, ...]) -> list[int]:
    """Where any of the words stands, in order."""
    found: set[int] = set()
    for word in words:
        place = text.find(word)
        while place >= 0:
            found.add(place)
            place = text.find(word, place + 1)
    return sorted(found)


def _rule(
    kind: str,
    marks: str,
    pattern: str,
    entropy: float = 0.0,
    *,
    starts: str | None = None,
    also: str = "",
) -> SecretRule:
    """A rule whose matches begin with a mark, unless `starts` says with what else."""
    return SecretRule(
        kind=kind,
        marks=tuple(marks.lower().split()),
        pattern=re.compile(pattern),
        entropy=entropy,
        starts=tuple((marks if starts is None else starts).lower().split()),
        also=also,
    )


def _token(
    kind: str, marks: str, pattern: str, entropy: float = 0.0, *, starts: str | None = None
) -> SecretRule:
    """A rule whose matches hold RUN or more of `[A-Za-z0-9_-]` in a row, after or with the mark."""
    rule = _rule(kind, marks, pattern, entropy, starts=starts)
    return msgspec.structs.replace(rule, run=tuple(marks.split()))


_START = r"(?<![A-Za-z0-9_-])"
_END = r"(?![A-Za-z0-9_-])"
NAMES = (
    r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|apikey|access[_-]?key|auth[_-]?key"
    r"|private[_-]?key|encryption[_-]?key|signing[_-]?key|credential|session[_-]?id|jsessionid)"
)
_NAME_MARKS = "pass pwd secret token key credential session"
_NAME_STARTS = (
    "pass pwd secret token api access auth private encryption signing credential session jsessionid"
)
_KEY_END = r"\\{0,3}[\"'`]?\s{0,4}"
_ASSIGNED = _KEY_END + r"(?::|=>|:=|={1,3})\s{0,4}"
_PAIRED = _KEY_END + r"(?::|=>|:=|={1,3}|,)\s{0,4}"
_QUOTED = r"\\{0,3}(?P<quote>[\"'`])(?P<value>(?:(?!(?P=quote))[^\s\\]){6,500})\\{0,3}(?P=quote)"

RULES: tuple[SecretRule, ...] = (
    _rule(
        "private-key",
        "-----begin",
        r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?!-----)[\s\S]){0,16000}(?:-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----)?",
    ),
    _token(
        "aws-access-key",
        "AKIA ASIA ABIA ACCA A3T",
        r"(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{16,300}",
    ),
    _rule(
        "aws-secret-key",
        "aws",
        r"(?i:aws.{0,20}?(?:secret|key).{0,20}?[\"'=:\s]{1,5})(?P<value>[A-Za-z0-9/+]{40})"
        r"(?![A-Za-z0-9/+=])",
        3.5,
    ),
    _token(
        "github-token",
        "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
        r"(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_\w{22,255})",
    ),
    _rule(
        "gitlab-token",
        "glpat- glptt- gldt- glrt- glsoat- glcbt- glagent- gloas-",
        r"gl(?:pat|ptt|dt|rt|soat|cbt|agent|oas)-[A-Za-z0-9_.-]{20,64}",
    ),
    _token(
        "slack-token",
        "xox xapp-",
        r"xox[abeoprs]-[A-Za-z0-9-]{10,250}|xapp-\d-[A-Za-z0-9-]{20,250}",
    ),
    _rule(
        "slack-webhook",
        "hooks.slack.com",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{30,90}",
    ),
    _token("google-api-key", "AIza", r"AIza[A-Za-z0-9_-]{35,300}"),
    _token(
        "google-oauth-token",
        "ya29. GOCSPX-",
        _START + r"(?:ya29\.[A-Za-z0-9_-]{20,500}|GOCSPX-[A-Za-z0-9_-]{28})",
    ),
    _token("stripe-key", "sk_ rk_ pk_", r"(?:sk|rk|pk)_(?:live|test|prod)_[A-Za-z0-9]{10,99}"),
    _token(
        "openai-key",
        "sk-",
        _START + r"sk-(?:proj|svcacct|admin|ant-[a-z0-9]{2,10})-[A-Za-z0-9_-]{20,250}",
    ),
    _token("openai-key", "sk-", _START + r"sk-[A-Za-z0-9]{48,300}"),
    _token("huggingface-token", "hf_ api_org_", _START + r"(?:hf|api_org)_[A-Za-z0-9]{30,300}"),
    _token("npm-token", "npm_", r"npm_[A-Za-z0-9]{36,300}"),
    _token("pypi-token", "pypi-", r"pypi-[A-Za-z0-9_-]{50,250}"),
    _token("docker-token", "dckr_pat_", r"dckr_pat_[A-Za-z0-9_-]{20,40}"),
    _token("sendgrid-key", "SG.", _START + r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}"),
    _token("twilio-key", "SK AC", _START + r"(?:SK|AC)[0-9a-f]{32}" + _END),
    _token("mailgun-key", "key-", _START + r"key-[0-9a-f]{32}" + _END),
    _token("digitalocean-token", "doo_v1_ dop_v1_ dor_v1_", r"do[opr]_v1_[0-9a-f]{64}"),
    _token(
        "shopify-token",
        "shpat_ shpca_ shppa_ shpss_",
        r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",
    ),
    _token("databricks-token", "dapi", _START + r"dapi[0-9a-f]{32}(?:-\d)?" + _END),
    _token("vault-token", "hvb. hvs. hvr.", r"hv[bsr]\.[A-Za-z0-9_-]{24,300}"),
    _token("age-key", "AGE-SECRET-KEY", r"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    _rule("atlassian-token", "atatt3", r"ATATT3[A-Za-z0-9_=-]{60,250}"),
    _token("telegram-token", ":AA", _START + r"\d{8,10}:AA[A-Za-z0-9_-]{33}" + _END, starts=""),
    _token(
        "square-token", "EAAA sq0", _START + r"(?:EAAA|sq0(?:atp|csp)-)[A-Za-z0-9_-]{22,60}", 3.5
    ),
    _token("linear-key", "lin_api_", r"lin_api_[A-Za-z0-9]{40}"),
    _rule("grafana-token", "glsa_ glc_", r"gl(?:sa|c)_[A-Za-z0-9+/=_]{32,400}"),
    _rule(
        "jwt",
        "eyj",
        r"eyJ[A-Za-z0-9_-]{8,4000}\.eyJ[A-Za-z0-9_-]{8,8000}\.[A-Za-z0-9_-]{0,2000}",
    ),
    _rule(
        "azure-storage-key",
        "accountkey sharedaccesskey",
        r"(?i:AccountKey|SharedAccessKey)\s{0,3}=\s{0,3}(?P<value>[A-Za-z0-9+/]{40,90}={0,2})",
    ),
    _rule(
        "url-credentials",
        "://",
        r"(?<=://)(?P<value>[^\s/:@\"'<>{}$]{0,80}:[^\s/@\"'<>{}$]{3,200})(?=@[A-Za-z0-9\[])",
        starts="",
        also="@",
    ),
    _rule(
        "authorization",
        "bearer basic digest token",
        r"(?i:\b(?:Bearer|Basic|Digest|Token)\s{1,3})(?P<value>[A-Za-z0-9+/._~-]{16,2000}={0,2})",
        3.2,
    ),
    _rule(
        "cookie",
        "cookie",
        r"(?i:\bset-cookie:\s{0,3}[\w.-]{1,60}=|\bcookie:\s{0,3}[\w.-]{1,60}=)"
        r"(?P<value>[^\s;,\"'<>]{8,2000})",
        2.5,
        starts="cookie: set-cookie:",
    ),
    _rule(
        "password",
        "pass pwd",
        r"(?i:pass(?:word|wd|phrase)|passwd|pwd)[\w.-]{0,20}" + _ASSIGNED + _QUOTED,
        2.2,
    ),
    _rule(
        "password",
        "pass pwd",
        r"(?i:<(?P<tag>[\w.:-]{0,40}passw(?:or)?d)>)(?P<value>[^<>\s]{6,200})</(?P=tag)>",
        2.2,
        starts="<",
    ),
    _rule(
        "credential",
        _NAME_MARKS,
        r"(?i:" + NAMES + r")[\w.-]{0,20}" + _PAIRED + _QUOTED,
        3.0,
        starts=_NAME_STARTS,
    ),
    _rule(
        "credential",
        _NAME_MARKS,
        r"(?i:" + NAMES + r")[\w-]{0,20}(?:=|:[ \t]{1,4}|(?<=\w)[ \t](?=\S*\d))"
        r"(?P<value>[A-Za-z0-9+/_.!@#$%^&*~-]{8,500}={0,2})(?![\w(\[.])",
        3.0,
        starts=_NAME_STARTS,
    ),
)

_TEMPLATE = re.compile(
    r"[<{]|\$\(|%[sdv]|^\$[A-Za-z_]|\*{3}|\.\.\.|^(?:https?|ftp|file|jdbc|s3|arn):"
    r"|(?i:example|placeholder|change-?_?me|your[-_]|x{4})"
)
_CODE_WORD = re.compile(r"[A-Za-z_]+(?:[.-][A-Za-z_]+)*[0-9]?")


def entropy(value: str) -> float:
    """Shannon entropy in bits a character."""
    size = len(value)
    return -sum(count / size * log2(count / size) for count in Counter(value).values())


def is_secret(rule: SecretRule, value: str) -> bool:
    """Whether a match of the rule's pattern is a value and not a name, a template or a word."""
    if rule.entropy == 0.0:
        return True
    if _TEMPLATE.search(value) or entropy(value) < rule.entropy:
        return False
    return rule.kind == "password" or not _CODE_WORD.fullmatch(value)

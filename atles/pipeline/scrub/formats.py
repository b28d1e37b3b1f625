"""Secrets that are known by their form alone: vendors' keys, JWTs, private keys, authorization headers, URLs.

The forms are those that the vendors document and gitleaks and GitHub secret scanning look for; lengths are minima,
so that a key that lost its end is
found too. Every pattern starts at a literal and is bounded: linear time.
"""

import re
from collections.abc import Iterator

from atles.pipeline.scrub.span import Span

_B58 = "[1-9A-HJ-NP-Za-km-z]"

# kind, a literal that must be in the text, the form; the secret is group 1, if there is one.
_FORMS = [
    ("API_KEY", "sk-", r"sk-(?:proj|ant|or|svcacct|admin|None|lf)-[\w-]{8,}"),
    ("API_KEY", "sk-", r"sk-(?=[A-Za-z_-]{0,60}\d)(?=[a-z0-9_-]{0,60}[A-Z]|[0-9a-f]{24,}|[a-z0-9]{24,})[\w-]{16,}"),
    ("API_KEY", "AIza", r"AIza[\w-]{30,}"),
    ("API_KEY", "k_live_", r"[srp]k_live_[A-Za-z0-9]{8,}"),
    ("API_KEY", "k_test_", r"[srp]k_test_[A-Za-z0-9]{8,}"),
    ("API_KEY", "whsec_", r"whsec_[A-Za-z0-9+/=]{16,}"),
    ("API_KEY", "SG.", r"SG\.[\w-]{12,}\.[\w-]{12,}"),
    ("API_KEY", "SK", r"SK[0-9a-f]{32}(?![0-9a-f])"),
    ("API_KEY", "AC", r"AC[0-9a-f]{32}(?![0-9a-f])"),
    ("API_KEY", "key-", r"key-[0-9a-f]{32}(?![0-9a-f])"),
    ("API_KEY", "gsk_", r"gsk_[A-Za-z0-9]{20,}"),
    ("API_KEY", "xai-", r"xai-[A-Za-z0-9]{20,}"),
    ("API_KEY", "pplx-", r"pplx-[A-Za-z0-9]{20,}"),
    ("API_KEY", "r8_", r"r8_[A-Za-z0-9]{20,}"),
    ("API_KEY", "nvapi-", r"nvapi-[\w-]{20,}"),
    ("API_KEY", "sq0", r"sq0(?:atp|csp|idp)-[\w-]{20,}"),
    ("API_KEY", "NRAK-", r"NRAK-[A-Z0-9]{20,}"),
    ("API_KEY", "GOCSPX-", r"GOCSPX-[\w-]{20,}"),
    *[("API_KEY", p, rf"{p}[A-Z0-9]{{16}}(?![A-Z0-9])") for p in ("AKIA", "ASIA", "ABIA", "ACCA")],
    ("API_KEY", "Q~", r"[\w~.]{3}\dQ~[\w~.-]{30,36}"),
    *[("TOKEN", p, rf"{p}[A-Za-z0-9]{{20,}}") for p in ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "hf_", "npm_")],
    ("TOKEN", "github_pat_", r"github_pat_\w{20,}"),
    ("TOKEN", "gl", r"gl(?:pat|ptt|dt|rt|cbt|soat|ft|agent|oas|ffct)-[\w-]{16,}(?:\.[\w-]{1,40}){0,3}"),
    ("TOKEN", "xox", r"xox[abeoprsc]-[\w-]{8,}"),
    ("TOKEN", "xapp-", r"xapp-\d-[\w-]{8,}"),
    ("TOKEN", "hooks.slack.com", r"hooks\.slack\.com/(?:services|workflows|triggers)/([\w/-]{16,})"),
    ("TOKEN", "/api/webhooks/", r"/api/webhooks/(\d{10,}/[\w-]{16,})"),
    ("TOKEN", "ya29.", r"ya29\.[\w-]{20,}"),
    ("TOKEN", "pypi-", r"pypi-[\w-]{40,}"),
    ("TOKEN", "do", r"do[opr]_v1_[0-9a-f]{32,}"),
    ("TOKEN", "dckr_pat_", r"dckr_pat_[\w-]{20,}"),
    ("TOKEN", "shp", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    ("TOKEN", "lin_api_", r"lin_api_[A-Za-z0-9]{30,}"),
    ("TOKEN", "ntn_", r"ntn_[A-Za-z0-9]{30,}"),
    ("TOKEN", "PMAK-", r"PMAK-[0-9a-f-]{40,}"),
    ("TOKEN", "hvs.", r"hvs\.[\w-]{20,}"),
    ("TOKEN", "dp.", r"dp\.(?:pt|st|ct|sa)\.[\w.-]{30,}"),
    ("TOKEN", "ATATT3", r"ATATT3[\w=-]{40,}"),
    ("TOKEN", ":", r"\d{8,10}:[\w-]{35}(?![\w-])"),  # a Telegram bot
    ("TOKEN", ".", r"(?:[MNO][\w-]{22,27}\.[\w-]{6}\.[\w-]{27,40})(?![\w-])"),  # a Discord bot
    ("TOKEN", "mfa.", r"mfa\.[\w-]{40,}"),
    ("TOKEN", "sig=", r"sig=([\w%+/=-]{20,})"),  # Azure's shared access signature
    ("JWT", "eyJ", r"eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*){0,3}"),
    # As vendors name their keys since Stripe: who, what, then letters of both cases and digits without a pattern.
    (
        "API_KEY",
        "_",
        r"[a-z]{2,12}_(?:[a-z]{2,12}_)?(?=[a-z\d]{0,60}[A-Z])(?=[A-Z\d]{0,60}[a-z])(?=(?:[A-Za-z]{0,20}\d){2})"
        r"[A-Za-z\d]{16,}(?![A-Za-z\d_])",
    ),
    ("PRIVATE_KEY", "AGE-SECRET-KEY-", r"AGE-SECRET-KEY-1[A-Z0-9]{40,}"),
    ("PRIVATE_KEY", "prv", rf"[xyztuv]prv{_B58}{{80,}}"),
]  # fmt: skip
_COMPILED = [
    (kind, literal, re.compile(r"(?<![A-Za-z0-9])" + form, re.ASCII)) for kind, literal, form in _FORMS
]  # a form may stand right beside CJK characters, hence ASCII

_WIF = re.compile(
    rf"(?<![A-Za-z0-9+/=_-])[5KL](?=[a-zA-Z1-9]{{0,48}}\d)(?=[^a-z]{{0,50}}[a-z]){_B58}{{50,51}}(?![A-Za-z0-9+/=_-])"
)
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY[A-Z ]{0,10}-----")
_PEM_BODY = re.compile(
    r"""(?:\s{0,4}[A-Z][A-Za-z-]{2,20}:[ ][^\n\\]{0,80}(?=[\n\\]))*
        (?:(?:\\[nr]|[\s"'+>|]){0,20}[A-Za-z0-9+/=]{16,})*
        (?:(?:\\[nr]|[\s"'+>|]){0,20}[A-Za-z0-9+/]{0,15}=+)?""",
    re.VERBOSE,
)
_AUTH = re.compile(
    r"""(?:(?:proxy-)?authorization["']?\s{0,3}[:=]\s{0,3}\\?["']?
          (?:(?:bearer|basic|token|apikey|digest|negotiate|bot|splunk)\s{1,3})?([^\s"'\\,]{6,4096})
        | \bbearer\s{1,3}(?=[^\s"'\\,]{0,200}\d)([\w.~+/=-]{16,4096})
        | \bbasic\s{1,3}(?=[a-z/+]{0,200}[A-Z0-9])((?-i:[A-Za-z0-9+/]{12,4000}={0,2}))(?![\w+/=]))""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_URL = re.compile(r"://[^\s/:@\"'<>]{0,100}:([^\s/\"'<>]{1,200})@(?=[\w.\[$-])")
_FLAG = re.compile(
    r"""(?<!\S)(?:
      (?:-u|--user|--proxy-user)[ =]["']?[^\s:"']{1,64}:(?=[^\s"']{0,64}[^\d\s"'])([^\s"']{1,128})
    | --?(?:password|passwd|pass|passphrase|secret|token|api-?key|auth-?token|access-?token)(?:[ ]
        |=)["']?(?![-\[$<{%])([^\s"']{1,512})
    )|(?:mysql|mysqldump|mariadb|sshpass)\b[^\n|;]{0,120}?\s-p[ ]?["']?(?![\s$<])([^\s"']{3,128})""",
    re.VERBOSE,
)
_PIN = re.compile(
    r"\b(?:pin|combination|(?:door|gate|alarm|safe|entry|access) code)(?: (?:number|code))?"
    r" (?:for|to|of|at) (?:the |my |our )?[a-z]{2,20}(?: [a-z]{2,20})?[,:]? (?:it'?s |is |= ?)?(\d(?:[\d -]{2,9})\d)\b",
    re.IGNORECASE,
)
_TEMPLATE = re.compile(r"^(?:\$|\{|<|%\w|\*+$|x+$|\.\.\.)", re.IGNORECASE)


def find(text: str) -> Iterator[Span]:
    for kind, literal, form in _COMPILED:
        if literal in text:
            for match in form.finditer(text):
                yield Span(*match.span(match.lastindex or 0), kind)
    if "-----BEGIN " in text:
        yield from _private_keys(text)
    if "://" in text:
        yield from _groups(_URL, text, "PASSWORD")
    if " -" in text or text.startswith("-"):
        yield from _groups(_FLAG, text, "PASSWORD")
    low = text.lower()
    if "authorization" in low or "bearer " in low or "basic " in low:
        yield from _groups(_AUTH, text, "TOKEN")
    if "pin" in low or "code" in low or "combination" in low:
        yield from _groups(_PIN, text, "CODE")
    if len(text) > 50:
        for match in _WIF.finditer(text):
            yield Span(*match.span(), "PRIVATE_KEY")


def _groups(form: re.Pattern[str], text: str, kind: str) -> Iterator[Span]:
    for match in form.finditer(text):
        start, end = match.span(match.lastindex or 0)
        if not _TEMPLATE.match(text[start : min(end, start + 80)]):
            yield Span(start, end, kind)


def _private_keys(text: str) -> Iterator[Span]:
    """RFC 7468 blocks and OpenPGP's (RFC 9580); one without its end reaches as far as its lines do."""
    begins = [match.span() for match in _PEM.finditer(text)]
    end = -2
    for number, (start, body) in enumerate(begins):
        following = begins[number + 1][0] if number + 1 < len(begins) else len(text)
        if end != -1 and end < body:
            end = text.find("-----END", body)
        if body <= end < following and end - body < 40_000:
            close = text.find("-----", end + 8, end + 80)
            yield Span(start, close + 5 if close != -1 else end + 8, "PRIVATE_KEY")
        else:
            lines = _PEM_BODY.match(text, body)
            yield Span(start, lines.end() if lines else body, "PRIVATE_KEY")

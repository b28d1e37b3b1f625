"""What must be scrubbed and what must not: also what `bench/scrub.py` measures libraries on. Every secret is made up.

Keys are put together here, so that no scanner of repositories takes them for real ones.
"""

import hashlib
import string
from base64 import b64encode

ALNUM = string.ascii_letters + string.digits
LOWER_HEX = "0123456789abcdef"


def drawn(size: int, alphabet: str = ALNUM, seed: str = "atles") -> str:
    """Looks drawn at random; the same each time."""
    stream = b"".join(hashlib.sha256(f"{seed}{block}".encode()).digest() for block in range(size // 32 + 1))
    return "".join(alphabet[byte % len(alphabet)] for byte in stream[:size])


JWT = f"eyJhbGciOiJIUzI1NiJ9.eyJ{drawn(40)}.{drawn(43)}"
UPPER = string.ascii_uppercase + string.digits
PEM_BODY = "\n".join(drawn(64, ALNUM + "+/", str(line)) for line in range(5))
WORDS = "abandon ability able about above absent absorb abstract absurd abuse access accident"
BASIC = b64encode(b"bob:hunter2hunter2").decode()

# A text with {} where the secret stands, and the secret. Found means: nothing of the secret is left.
SECRETS: list[tuple[str, str]] = [
    # Known forms.
    ("use {} for the call", f"sk-proj-{drawn(48)}"),
    ("the plugin gave me this: {}, where does it go", f"shop_live_{drawn(20)}"),
    ("i have it here, {}, ok", f"bk_tok_{drawn(20)}"),
    ("the pin for the safe, {}, she forgets it", "7304"),
    ("door code for the office is {}", "5518#"[:4]),
    ("old key {}", f"sk-{drawn(20)}T3BlbkFJ{drawn(20)}"),
    ("export ANTHROPIC_API_KEY={}", f"sk-ant-api03-{drawn(93)}AA"),
    ("git clone with {} please", f"ghp_{drawn(36)}"),
    ("{}", f"github_pat_{drawn(22)}_{drawn(59)}"),
    ("my gitlab one: {}.", f"glpat-{drawn(20)}"),
    ("slack bot {}", f"xoxb-{drawn(12, string.digits)}-{drawn(24)}"),
    ("post to https://hooks.slack.com/services/{}", f"T{drawn(8, UPPER)}/B{drawn(8, UPPER)}/{drawn(24)}"),
    ("AWS id {} in the config", f"AKIA{drawn(16, UPPER)}"),
    ("aws_secret_access_key = {}", drawn(40, ALNUM + "/+")),
    ("maps key {}", f"AIza{drawn(35)}"),
    ("stripe {}", f"sk_live_{drawn(24)}"),
    ("hf login --token {}", f"hf_{drawn(34, string.ascii_letters)}"),
    ("//registry.npmjs.org/:_authToken={}", f"npm_{drawn(36)}"),
    ("twine upload -u __token__ -p {}", f"pypi-AgEIcHlwaS5vcmc{drawn(60)}"),
    ("Twilio SID is here {}", f"SK{drawn(32, LOWER_HEX)}"),
    ("sendgrid {}", f"SG.{drawn(22)}.{drawn(43)}"),
    ("the bot answers to {}", f"123456789:AA{drawn(33)}"),
    ("client.run('{}')", f"MTk4{drawn(20)}.G{drawn(5)}.{drawn(38)}"),
    ("DefaultEndpointsProtocol=https;AccountName=a;AccountKey={};EndpointSuffix=core", drawn(86, ALNUM + "+/") + "=="),
    ("https://a.blob.core.windows.net/c?sv=2022-11-02&sig={}", drawn(43) + "%3D"),
    ("azure app {} expires soon", f"abc8Q~{drawn(34)}"),
    ("cookie had {}", JWT),
    ("here:\n{}\nthanks", f"-----BEGIN RSA PRIVATE KEY-----\n{PEM_BODY}\n-----END RSA PRIVATE KEY-----"),
    ("it was cut off: {}\nsee?", f"-----BEGIN OPENSSH PRIVATE KEY-----\n{PEM_BODY}"),
    ("{}", f"-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\n\n{PEM_BODY}"
           f"\n-----END PGP PRIVATE KEY BLOCK-----"),
    ("curl -H 'Authorization: Bearer {}' https://x.test", drawn(32)),
    ("Authorization: Basic {}", BASIC),
    ("postgres://app:{}@db.local:5432/shop", "s3cr3t-Pa55"),
    ("redis://:{}@cache:6379/0", "f00ba4r"),
    ("curl -u bob:{} https://x.test", "tiger-lily"),
    ("mysql -u root -p{} shop", "hunter2"),
    ("my wallet: {}", f"5{drawn(50, '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz')}"),
    # Settings.
    ("SECRET_KEY={}", "django-insecure-x9f2"),
    ("DB_PASSWORD={}\nDB_HOST=db", "correcthorse"),
    ('{{"user": "bob", "password": "{}"}}', "hunter2"),
    ("password: {}\nhost: db", "swordfish"),
    ("db_pass = '{}'", "open sesame 7"),
    ("Server=db;User Id=sa;Password={};Encrypt=true", "P@ss;w0rd!x"),
    ("<password>{}</password>", "hunter2"),
    ("X-Api-Key: {}", drawn(32, LOWER_HEX)),
    ("client_secret: {}", drawn(24)),
    ("tool --password {} run", "tuesday"),
    # Said in words.
    ("my wifi password is {}", "Blue-Heron-77"),
    ("the pw for the router: {}", "hunter2!!"),
    ("password (admin): {}", "x"),
    ("pass: {}", "Tr0ub4dor&3"),
    ("passwd {} works", "qwerty99"),
    ("The passphrase is {}.", "correct horse battery staple"),
    ("ok, my password is {}.", "bluebird"),
    ("The password's {} by the way", "Moonlight5"),
    ("please change the password to {}", "N3w-Dawn!"),
    ("{} is my password", "hunter2"), ("so my pass is {}", "dragonfly"), ("PASSWORD - {}", "Winter2024"),
    ("the secret is {}", "Xk9#mP2$"), ("hey, the password you wanted: {}", "Apple$auce9"),
    ('here: {{\\"password\\": \\"{}\\"}}', "hunter2"), ("пароль: {}", "qwerty123"),
    ("パスワードは{}です", "sakura2024"),
    ("pwd for the NAS in the hall is {}", "Kitchen#12"),
    ("my netflix password is '{}' now", "three little pigs"),
    ("das Passwort lautet {}", "Sommerregen24"),
    ("Mein WLAN-Passwort ist {}", "Kuchen!Blech"),
    ("le mot de passe est {}", "soleil42"),
    ("la contraseña es {}", "gato-negro-9"),
    ("密码是{}", "abc12345"),
    ("La password è {}", "Fragola88"),
    ("Het wachtwoord is {}", "fietsbel12"),
    ("my pin is {}", "4821"),
    ("PIN: {}", "0042"),
    ("the alarm code is {}", "5593"),
    ("door code {} for the back", "7788"),
    ("cvv {}", "123"),
    ("Your login code: {}", "482 913"),
    ("{} is your verification code", "551208"),
    ("my 2FA code is {}", "119203"),
    ("combination to the safe is {}", "12-34-56"),
    ("backup codes: {}", "8h3k-2k9d, 9f2j-1l0s"),
    ("login bob / {}", "hunter2"),
    ("credentials: admin:{}", "letmein1"),
    ("my seed phrase is {}", WORDS),
    ("recovery phrase:\n{}\nkeep it", " ".join(f"{n}. {word}" for n, word in enumerate(WORDS.split(), 1))),
    ("the api key for the weather thing is {}", drawn(32, LOWER_HEX)),
    ("the access token is {} I think", drawn(28)),
    ("my private key: {}", "0x" + drawn(64, LOWER_HEX)),
    # Numbers.
    ("card {} please", "4111 1111 1111 1111"),
    ("{} exp 12/27", "5555-5555-5555-4444"),
    ("amex {}", "378282246310005"),
    ("卡号{}", "6011111111111117"),
    ("IBAN {}", "DE89 3704 0044 0532 0130 00"),
    ("send it to {} please", "gb29nwbk60161331926819"),
    ("wifi here is poor, the code on the box is {} and my phone drops it", "HayLoft#2290"),
    # A digit mistyped: no checksum fits.
    ("card {} please", "4111 1111 1111 1112"),
    ("charge it to {}, thanks", "5500-0000-0000-0005"),
    ("the card I paid with was {}", "4929771305826641"),
    ("amex {}", "378282246310006"),
    ("{} exp 08/28", "4929771305826641"),
    ("account {}, in my name", "CZ47 2010 0000 0027 0154 8836"),
    ("IBAN {}", "DE88370400440532013000"),
    ("pay it into {} by Friday", "GB29 NWBK 6016 1331 9268 20"),
    ("my SSN is {}", "078-05-1120"),
    ("passport number: {}", "C01X00T47"),
    ("routing number {}", "021000021"),
    ("bank account number is {}", "000123456789"),
    ("sort code {}", "20-00-00"),
]  # fmt: skip

HARMLESS: list[str] = [
    "def test_memory_of_version2_reads_Version1Files(): pass",
    "call set_user_name_and_password_fields() before get_http2_server_connection_pool_size()",
    "the code for the plugin has 4821 lines",
    "login with google / apple", "my password is about to expire", "SELECT password FROM users", "random seed=1234",
    "def f(password: str, token: str = None):", "credentials: see wiki", "pass: 10, fail: 2",
    "I forgot my password", "the password is wrong", "The password is incorrect!", "Which password manager is good?",
    "what is a good pin?", "the code is broken", "the key is to rest the dough", "How do I reset my password?",
    "The password must have at least 12 characters", "my password is 12 characters long",
    "passwords are hashed with bcrypt",
    "Password: required", "password: str = Field(min_length=8)", 'password = os.environ["DB_PASSWORD"]',
    "password = getpass.getpass()", "password=$DB_PASSWORD", "password: ${{ secrets.DB }}", "password: ********",
    "password: <your password>", "the password is too short", "My password is weak, isn't it?",
    "is the password case-sensitive?",
    "Is my password safe with you?", "the password is stored in the database", "password-protected PDF",
    "a passwordless login",
    "What is the password policy?", "The password for the router is on the back of it", "the secret is patience",
    "Secret: use cold butter", "a secret garden", "The token is expired", "max_tokens: 4096",
    "tokens: 1024, temperature: 0.7",
    "the tokenizer splits words into tokens", "GPIO pin 17", "connect pin 3 to ground", "pin the note to the wall",
    "zip code is 90210", "error code 5593", "status code: 404", "exit code 137", "the area code is 415",
    "the code is 200 lines long",
    "the source code is here", "country code is 49", "primary_key=True", "KeyError: 'name42'", "piano key: C4",
    "public key cryptography",
    "the key point: 3 of 4 people agree", "answer key: 1a 2b 3c", "keyboard shortcuts: ctrl+c", "a monkey: banana2",
    "call me at 415-555-2671", "+49 151 23456789", "on 2024-03-15 at 14:30", "from 1999 to 2007",
    "3.14159265358979323846",
    "ISBN 978-3-16-148410-0", "order number 1234567890123456", "tracking 1Z999AA10123456784", "1700000000000",
    "commit 3f2a9c1b7d8e4f5061728394a5b6c7d8e9f00112", "550e8400-e29b-41d4-a716-446655440000", "version 2.31.0-rc1",
    "numpy==2.4.6",
    "sha256:" + "ab12" * 16, "#ff00aa", "1,234,567.89", "192.168.1.1", "login / register",
    "the login page / signup page",
    "Log in and click Settings / Account", "PASS: tests/test_a.py", "2 passed, 1 failed", "pass the salt: thanks",
    "boarding pass 12", "I passed: 93 points",
    "the recovery phrase is written on paper in my drawer at home with the other papers",
    "sunflower seed: 12 grams", "My account is 12 years old", "my bank account is empty", "my passport expires in 2027",
    "bearer of bad news", "basic arithmetic is enough for this", "visit https://example.com/a/b?x=1&y=2",
    "git@github.com:a/b.git",
    "http://localhost:8080/users/@bob", "docker run -u 1000:1000 x", "rm -rf /tmp/x", "sk-learn-like-naming-of-things",
    "data:image/png;base64," + drawn(400, ALNUM + "+/"), "invoice 1234 5678 9012 3456", "GB29 is a road",
    "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20", "EAN 4006381333931", "the login is slow and/or broken", "",
    "der Schlüssel liegt unter der Matte", "mein Passwort ist falsch", "j'ai oublié mon mot de passe",
    "olvidé la contraseña",
    "密码错误", "The combination of 100 and 2000 is fine", "security code of the building from 1998",
    "she said: pass it on",
    "tan lines", "OTP is short for one-time password", "an id card is needed", "tax of 12345 dollars",
    "my nhs dentist is great",
]  # fmt: skip

PERSONAL: list[tuple[str, str]] = [
    ("write to {} today", "ann.lee+x@example.co.uk"), ("call me at {}", "415-555-2671"), ("my number is {}",
    "(415) 555-2671"),
    ("{} is my mobile", "+49 151 23456789"), ("ruf mich an: {}", "0151 23456789"), ("appelle le {}", "01 23 45 67 89"),
    ("server {} is down", "203.0.113.42"), ("from {} again", "2001:db8::8a2e:370:7334"), ("I live at {}",
    "12 Oak Street"),
    ("ship to {}", "742 Evergreen Terrace, Springfield, IL 62704"), ("wohne in der {}",
    "Lindenstraße 14a, 10115 Berlin"),
    ("j'habite {}", "8 rue de la Paix"), ("vivo en {}", "Calle Mayor 15"), ("my name is {}.", "Ann Lee"),
    ("Dear Dr. {},", "Okafor"),
    ("ich heiße {}", "Jonas Weber"), ("je m'appelle {}", "Chloé Martin"), ("me llamo {}", "Lucía Gómez"),
    ("his number: {}", "123-45-6789"),
    ("NI {}", "QQ123456C"), ("she is {}", "12345678Z"), ("({})", "529.982.247-25"), ("{}", "RSSMRA85T10A562S"),
    ("n° {}", "1 84 12 76 451 089 46"),
]  # fmt: skip

NOT_PERSONAL: list[str] = [
    "on 2024-03-15 at 14:30", "from 1999 to 2007", "version 1.2.3.4", "3 of 5 people", "12:30:45", "pi is 3.14159265",
    "I am happy", "call me later", "my name is hard to spell", "call me maybe", "order 12345678", "@bob said hi",
    "std::vector::iterator",
    "127.0.0.1", "Main Street is long", "1,234,567 people", "12 eggs and 300 g flour", "chapter 12 Road to Rome",
    "ISBN 978-3-16-148410-0",
    "550e8400-e29b-41d4-a716-446655440000", "10.5281/zenodo.1234567", "Dr. who?", "2024-2025",
]  # fmt: skip

"""The words that announce a secret, and those that only talk of one. Knows no rule."""

import re

# Searched in the lowered text. `password` is announced by its word alone; `weak` words mean other things as well.
LABEL = re.compile(
    r"""(?P<password>passwor[dt]s?|passwörter|passwd|pass-?phrase|passcode|pass\ word|kennwort|mots?\ de\ passe
        |contrase[ñn]h?a|contrasenya|palavra-passe|parola\ d['’]ordine|wachtwoord|(?<![a-z])senha|lösenord|adgangskode
        |salasana|hasło|heslo|jelszó
        |пароль|şifre|密码|密碼|口令|パスワード|暗証番号|비밀번호|كلمة\ المرور|كلمة\ السر
        |סיסמה|סיסמא|पासवर्ड|mật\ khẩu|kata\ sandi
        |(?<![a-z])(?:pswd|psw|pword|mdp|pwd|pw|wpa2?[ ]key|wifi[ ]key|wlan-?schlüssel)(?![a-z]))
    |(?P<weak>(?<![a-z])(?:pass|clave)(?![a-z]))
    |(?P<code>(?<![a-z])(?:pin(?:[ -]?(?:code|number|nummer))?|otps?|2fa|mfa|cvv2?|cvc2?|cvn|puk|geheimzahl
        |tan)(?:[ ]codes?)?(?![a-z])
        |(?:alarm|door|gate|entry|access|security|verification|verify|confirmation|authenti?cation|authenticator
        |auth|log-?in|sign-?in
          |unlock|lock|lock-?box|garage|safe|vault|backup|recovery|one[ -]time|sms|keypad|house|building|entrance
          |activation
          |disarm|duress|2fa|mfa|otp|tür|sicherheits|bestätigungs|zugangs|alarmanlagen)(?:[ _-]?codes?(?![a-z])
          |[ ]combo(?:nation|bination)?\b)
        |(?:safe|locker|lock|vault|padlock)[ ]combination|combination[ ](?:to|for|of)[ ](?:the|my|our)[ ](?:safe
        |lock|vault|locker|padlock)
        |(?:your|my|our|the)[ ](?:[a-z]{2,12}[ ])?code(?![a-z])|code[ ](?:d['’]accès|secret|pin|de[ ]sécurité
        |de[ ]la[ ]porte|de[ ]vérification)
        |código[ ](?:de[ ](?:seguridad|verificación|acceso)|pin|secreto))
    |(?P<seed>(?:seed|recovery|mnemonic|backup|wallet|secret)[ _-]?(?:phrase|words?|seed)|mnemonic
        |(?<![a-z])seed(?=\s{0,3}[:=]))
    |(?P<id>(?<![a-z])(?:ssn|social[ ]security|social[ ]insurance|national[ ]insurance|nino|passport|reisepass
        |personalausweis|ausweis
        |driver'?s?’?s?[ ]licen[cs]e|führerschein|tax(?:payer)?[ ]?id|steuer-?id|itin|national[ ]id|id[ ]card
        |identity[ ]card|aadhaar|dni|nif
        |cpf|curp|bsn|personnummer|pesel|medicare|nhs|codice[ ]fiscale|sozialversicherungs|ahv
        |green[ ]card)(?![a-z]{0,3}\ is\ [a-z]))
    |(?P<account>(?<![a-z])(?:(?:bank|checking|savings|current|giro)[ ]account|(?:account|acct)[ ]?(?:number|num|no
        |nr|\#)(?![a-z])|acct(?![a-z])
        |routing|aba|sort[ -]code|kontonummer|konto(?:-?nr)?(?![a-z])|bankleitzahl|blz|bsb|numéro[ ]de[ ]compte
        |número[ ]de[ ]cuenta)(?![a-z]))
    |(?P<key>(?:api|access|secret|private|account|shared|auth|encryption|signing|master|app|client|license
        |subscription|storage)[ _-]?keys?(?![a-z])
        |accountkey|sharedaccesskey|(?<![a-z])tokens?(?![a-z])|(?<=access|efresh|ession)token|secrets?(?![a-z])
        |credentials?(?![a-z])
        |(?:j|php)sessionid|sessionid|(?<![a-z])keys?(?![a-z]))
    |(?P<login>(?<![a-z])(?:log-?in|logins|credentials|creds|zugangsdaten|anmeldung)(?![a-z]))""",
    re.VERBOSE,
)
# Without any of these no label can match; looking for them is five times cheaper.
STEMS = tuple(
    """pass pw wort contrase wachtw senha lösen adgang salas hasło heslo jelsz парол şifre 密 口令 パス 暗 비밀 كلمة סיס
    पास mật kata parola mdp wifi wpa schlüssel clave pin otp fa cv puk zahl tan code comb código seed mnemonic
    phrase words ssn social insurance nino ausweis licen führer tax steuer itin national id aadh dni nif cpf
    curp bsn numm pesel medicare nhs fiscale ahv card account acct routing aba sort konto blz bsb compte cuenta
    key token secret cred session log anmeld psw zugang""".split()
)
NO_SECRET_SUFFIX = re.compile(
    r"length|len|min|max|policy|field|reset|hint|count|expir|requir|strength|manager|label|type|regex|valid|"
    r"less|protect|"
    r"name|url|uri|path|file|size|limit|usage|s?_?used|column|index|error|board|word",
    re.IGNORECASE,
)
# What people say of a password rather than for one.
STOP = frozenset(
    """a an the this that these those it its i you we they he she my your our their his her me us one not no yes and or
    but so if when what why how who where which there here then than with without for from to of on in at by as is
    are was were be been being do does did done has have had will would can could should must may might shall too
    very also only still already never always now again just really quite rather pretty more less most least all any
    some none both either neither each every nothing something anything everything wrong right incorrect correct
    invalid valid required missing empty blank optional mandatory unknown secret private public hidden safe secure
    insecure unsafe strong weak good bad great fine ok okay simple easy hard difficult complex complicated long
    short old new same different unique random default temporary permanent lost forgotten gone broken stolen leaked
    expired compromised exposed changed reset set saved stored written shared used needed known hashed encrypted
    salted plain plaintext visible case-sensitive sensitive accepted rejected ready available important necessary
    obvious guessable crackable impossible possible enough stupid useless useful like about between true false null
    nil undefined string str text int bool bytes object redacted removed masked yourpassword password passwords
    passwort passphrase pin code key token login username user email manager generator field prompt hash policy
    protected dead down up off back working failing causing asking kept going getting somewhere mine yours ours
    theirs use make choose enter type pick try create get give let see read show tell ask check keep find put please
    sorry hello hi thanks ill i'll i'm it's i've don't can't won't isn't doesn't that's didn't what's falsch richtig
    ungültig sicher unsicher zu nicht vergessen weg abgelaufen geheim lang kurz notwendig erforderlich pflicht
    schwach stark ein eine der die das mein dein incorrecta incorrecto correcta débil fuerte segura larga corta muy
    demasiado correcte oublié trop faible fort sécurisé invalide obligatoire sbagliata sbagliato sicura troppo fout
    page form screen button dashboard flow endpoint route register signup sign-up logout log-out sign sso system
    method process attempt everyone everybody someone nobody people first second last next current previous sha256
    sha-256 sha512 md5 bcrypt argon2 oauth oauth2 base64 utf8 utf-8 2fa wi-fi google apple facebook github microsoft
    twitter probably simply currently usually actually definitely easily entirely completely highly fully extremely
    barely fairly hardly nearly likely terribly""".split()
)  # fmt: skip
PARTICIPLE = re.compile(r"(?:ed|ing|able|ible|less|ful|ous|ive|ant|ent|ary|ish)$")
UNIT = re.compile(
    r"[ \t]{1,3}(?:char|digit|letter|symbol|zeichen|stellen|word|line|byte|bit|day|minute|hour|second|year|"
    r"month|week|time|attempt|tries|percent|"
    r"%|or\ more|to\ \d|caract|of\b|pm\b|am\b|people|dollar|euro)",
    re.IGNORECASE,
)
OTHER_KEYS = re.compile(
    r"(?:public|primary|foreign|partition|sort|cache|hot|idempotency|row|object|dict|index|arrow|piano|csrf)[ _-]?$",
    re.I,
)
OTHER_CODES = re.compile(
    r"(?:zip|postal|post|area|error|status|exit|return|country|dress|product|promo|discount|coupon|source|qr|"
    r"bar|color|colour|"
    r"response|http|machine|morse|building|penal|tax|hex|unicode|referral|voucher|gift|airport|language|dial|dialling|"
    r"stock|flight|course|class) code$"
)

"""What was expected and what was found, in Azerbaijani: the sentences that decoder, rules and doors make in English.

They are made of few phrases, which are translated one by one; what no phrase fits stays as it is. A test changes every
field of every type in every way and sees that no English is left.
"""

from __future__ import annotations

import re
from functools import lru_cache

from hub.texts import Language

EXPECTED = re.compile(r"((?:/[^:]*|[a-z_]+): )?expected (.+?)(?:, found (.+))?")
FOUND = re.compile(r"(.+), found (.+)")
PLACED = re.compile(r"(/[^:]*): (.+)")

_PHRASES = (
    # kinds and lengths
    (r"a string of (\d+) characters", r"\1 simvolluq mətn"),
    (r"(\d+) characters", r"\1 simvol"),
    (r"a string of Unicode characters", r"Unicode simvollarından ibarət mətn"),
    (r"half of a surrogate pair at character (\d+)", r"\1-ci simvolda surroqat cütün yarısı"),
    (r"a string", r"mətn"),
    (r"an array of (\d+) items", r"\1 elementli massiv"),
    (r"an array of JSON objects", r"JSON obyektlərinin massivi"),
    (r"an array", r"massiv"),
    (r"an object of (\d+) members", r"\1 üzvlü obyekt"),
    (r"an object of named values", r"adlandırılmış qiymətlər obyekti"),
    (r"(?:a|one) JSON object", r"bir JSON obyekti"),
    (r"an object", r"obyekt"),
    (r"a (\d+)-bit integer", r"\1 bitlik tam ədəd"),
    (r"an integer out of range", r"hədlərdən kənar tam ədəd"),
    (r"an integer", r"tam ədəd"),
    (r"a floating-point number", r"kəsr ədəd"),
    (r"a finite number", r"sonlu ədəd"),
    (r"a number that the type cannot hold", r"bu növə sığmayan ədəd"),
    (r"a boolean", r"true və ya false"),
    (r"null or (.+)", r"null və ya {1}"),
    (r"one of (.+)", r"bunlardan biri: \1"),
    (r"exactly (\d+) bytes( in base64)?", r"dəqiq \1 bayt\2"),
    (r"bytes in base64", r"base64 ilə yazılmış baytlar"),
    (r"bytes", r"baytlar"),
    (r"(\d+) to (\d+) bytes", r"\1–\2 bayt"),
    (r"(\d+) bytes", r"\1 bayt"),
    (r"(\d+) to (\d+) digits", r"\1–\2 rəqəm"),
    (r"more digits", r"daha çox rəqəm"),
    # days and times
    (r'a date, as in ("[^"]*")', r"tarix, məsələn \1"),
    (r"a date", r"tarix"),
    (r"a day as (.+)", r"gün, məsələn \1"),
    (r"a day that no calendar has", r"təqvimdə olmayan gün"),
    (r'a timestamp with its offset, as in ("[^"]*")', r"saat qurşağı ilə vaxt, məsələn \1"),
    (r"a timestamp in whole milliseconds", r"millisaniyə dəqiqliyi ilə vaxt"),
    (r"one with microseconds", r"mikrosaniyəli vaxt"),
    (r"a time that no calendar or clock has", r"mövcud olmayan vaxt"),
    (r"an RFC 3339 time with its offset", r"saat qurşağı ilə RFC 3339 vaxtı"),
    (
        r'a decimal of at most (\d+) digits, (\d+) of them after the point(?:, as in ("[^"]*"))?',
        r"ən çoxu \1 rəqəmli onluq ədəd, ondan \2 rəqəm nöqtədən sonra (məsələn \3)",
    ),
    # fields and attributes
    (r"nothing: the field is missing and has no default", r"heç nə: sahə yazılmayıb və susmaya görə qiyməti yoxdur"),
    (r"a value", r"qiymət"),
    (r"nothing", r"heç nə"),
    (r"something else", r"başqa şey"),
    (r"another (?:version|one)", r"başqası"),
    (r"only fields of (.+)", r"yalnız \1 növünün sahələri"),
    (
        r"(\d+) that it does not have, the first close to the name ('[^']*')",
        r"bu növdə olmayan \1 sahə, birincisi \2 adına yaxındır",
    ),
    (r"(\d+) that it does not have", r"bu növdə olmayan \1 sahə"),
    (r"a code of the catalogue's list", r"kataloq siyahısındakı kod"),
    (r"an event type of the catalogue", r"kataloqdakı hadisə növü"),
    (r"(\d+) to (\d+) of (A-Z a-z 0-9 \. _ : -)", r"\1–\2 simvol: \3"),
    (r"data, as JSON", r"JSON şəklində data"),
    (
        r"an extension attribute named by a-z and 0-9, a string of at most (\d+) characters, boolean or integer",
        r"adı a-z və 0-9-dan ibarət əlavə atribut: ən çoxu \1 simvolluq mətn, true/false və ya tam ədəd",
    ),
    (r"the agency that publishes", r"hadisəni göndərən qurum"),
    (r"a provider of (/\S+)", r"\1 xidmətini göstərən qurum"),
    (r"the content first sent under this id", r"bu nömrə ilə ilk göndərilən məzmun"),
    (r"other content", r"başqa məzmun"),
    # requests
    (r"Content-Type (\S+) or (\S+), in UTF-8", r"UTF-8 ilə Content-Type \1 və ya \2"),
    (r"Content-Type (.+), in UTF-8", r"UTF-8 ilə Content-Type \1"),
    (r"no Content-Encoding", r"Content-Encoding olmamalıdır"),
    (r"Accept: application/json, or none", r"Accept: application/json və ya heç biri"),
    (r"at most (\d+) events", r"ən çoxu \1 hadisə"),
    (r"at most (\d+) headers and (\d+) bytes of them", r"ən çoxu \1 başlıq və onların ən çoxu \2 baytı"),
    (r"at most (\d+) requests at once", r"eyni anda ən çoxu \1 sorğu"),
    (r"the head within (\d+) seconds", r"başlıqların \1 saniyəyə gəlməsi"),
    (r"an HTTP/1\.1 request", r"HTTP/1.1 sorğusu"),
    (r"at most (\d+) bytes", r"ən çoxu \1 bayt"),
    (r"at most (\d+) values", r"ən çoxu \1 qiymət"),
    (r"all of it within (\d+) seconds", r"hamısının \1 saniyəyə gəlməsi"),
    (r"no other parameter than dry_run, true or false", r"yalnız dry_run parametri: true və ya false"),
    (r"no other parameters than (.+)", r"yalnız bu parametrlər: \1"),
    (r"no parameters", r"heç bir parametr"),
    (r"each parameter once", r"hər parametr bir dəfə"),
    (r"seconds, 0 to (\d+)", r"saniyə, 0-dan \1-a qədər"),
    (r"a number from 1 to (\d+)", r"1-dən \1-ə qədər ədəd"),
    (r"a `next` that the hub gave, or `now`", r"mərkəzin verdiyi `next` və ya `now`"),
    (r"7 upper-case Latin letters and digits", r"7 böyük latın hərfi və rəqəm"),
    (r"an id of an event of yours: 1 to 64 of (.+)", r"öz hadisənizin nömrəsi: 1–64 simvol: \1"),
    (
        r"an object with `fin`, and no other members than `as_of` and `after`",
        r"`fin` olan obyekt; başqa yalnız `as_of` və `after` ola bilər",
    ),
    (
        r"Authorization: Bearer (\S+), or a client certificate",
        r"Authorization: Bearer \1 və ya müştəri sertifikatı",
    ),
    (r"(zefer_\S*), (\d+) characters, as it was issued", r"\1, verildiyi kimi \2 simvol"),
    (r"a client certificate", r"müştəri sertifikatı"),
    (r"none", r"heç biri"),
    (r"one", r"var"),
    (r"no such header", r"belə başlıq yoxdur"),
)
_SENTENCES = (
    (r"String should match pattern '\^\(\?:(.+)\)\$'", r"mətn bu şablona uyğun olmalıdır: \1"),
    (r"String should have at most (\d+) characters?", r"ən çoxu \1 simvol gözlənilir"),
    (r"Input should be greater than or equal to (\S+)", r"\1 və ya daha böyük ədəd gözlənilir"),
    (r"Input should be less than or equal to (\S+)", r"\1 və ya daha kiçik ədəd gözlənilir"),
    (r"(/\S+) must be (<=?) (/\S+)", r"bu şərt ödənməlidir: \1 \2 \3"),
    (r"at most (\d+) bytes expected, (\d+) found", r"ən çoxu \1 bayt gözlənilir, \2 tapılıb"),
    (r"(\S+) may not publish (\S+)", r"\1 qurumunun \2 göndərmək hüququ yoxdur"),
    (
        r"a FİN of the body stands in a header or the case number",
        r"məzmundakı FİN başlıqda və ya iş nömrəsində yazılıb",
    ),
    (r"line (\d+) column (\d+)", r"sətir \1, sütun \2"),
    (r"(\d+) of (\d+) events rejected", r"\2 hadisədən \1-i rədd edildi"),
    (r"the body is empty", r"gövdə boşdur"),
    (r"the body ended early", r"gövdə vaxtından əvvəl kəsildi"),
    (r"no such token", r"belə token yoxdur"),
    (r"token (\S+) was revoked", r"\1 tokeni ləğv edilib"),
    (r"token (\S+) has expired", r"\1 tokeninin müddəti bitib"),
    (r"the token is not of the agency that is named", r"token adı göstərilən qurumun deyil"),
    (r"the catalogue no longer has the token's agency", r"tokenin qurumu artıq kataloqda yoxdur"),
    (
        r"token and certificate are of different agencies: send one",
        r"token və sertifikat müxtəlif qurumlarındır: yalnız birini göndərin",
    ),
    (
        r"certificate (\S+) names no agency of the catalogue, or more than one",
        r"\1 sertifikatı kataloqun heç bir qurumuna uyğun gəlmir və ya birdən çoxuna uyğun gəlir",
    ),
    (
        r"receipts are kept from (\d+) to (\d+), asked for from (\d+) on",
        r"bildirişlər \1 nömrəsindən \2 nömrəsinə qədər saxlanılır, soruşulan \3 nömrəsindən sonrakılardır",
    ),
    (r"there is no producer at the moment", r"hazırda brokerlə əlaqə yoxdur"),
    (r"the producer was given up", r"brokerlə əlaqə kəsildi"),
    (r"the broker takes nothing at the moment", r"broker hazırda heç nə qəbul etmir"),
    (r"the broker did not take the records within (\d+) seconds", r"broker yazıları \1 saniyədə qəbul etmədi"),
    (r"the broker did not take the records: (.+)", r"broker yazıları qəbul etmədi: \1"),
)
PHRASES = [(re.compile(english), az) for english, az in _PHRASES]
SENTENCES = [(re.compile(english), az) for english, az in _SENTENCES]


def in_language(detail: str, language: Language) -> str:
    """A detail in that language, as far as its phrases are known."""
    return detail if language == "en" or not detail else _translated(detail)


@lru_cache(maxsize=4_096)
def _translated(detail: str) -> str:
    return "; ".join(map(_sentence, detail.split("; ")))


def _sentence(text: str) -> str:
    expected = EXPECTED.fullmatch(text)
    if expected:
        place, wanted, found = expected.groups()
        return (place or "") + f"gözlənilir: {_phrase(wanted)}" + (f"; tapılıb: {_phrase(found)}" if found else "")
    placed = PLACED.fullmatch(text)
    if placed:
        return f"{placed[1]}: {_sentence(placed[2])}"
    whole = _matched(text, SENTENCES)
    found_too = None if whole else FOUND.fullmatch(text)
    if found_too:
        return f"{_sentence(found_too[1])}; tapılıb: {_phrase(found_too[2])}"
    return whole or text


def _phrase(text: str) -> str:
    return _matched(text, PHRASES) or text


def _matched(text: str, table: list[tuple[re.Pattern[str], str]]) -> str | None:
    for pattern, az in table:
        match = pattern.fullmatch(text)
        if match:
            said = match.expand(az.replace("{1}", "")).replace(" (məsələn )", "")
            return said + _phrase(match[1]) if "{1}" in az else said
    return None

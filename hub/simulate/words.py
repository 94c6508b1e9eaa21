"""Invented names and plausible words; nobody of these exists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

MALE_NAMES: Sequence[str] = (
    "Elvin", "Rəşad", "Tural", "Orxan", "Kamran", "Vüqar", "Fərid", "Nicat", "Samir", "Anar",
    "Ramin", "Cavid", "Murad", "Emin", "Xəyal", "Zaur", "İlqar", "Şahin", "Rövşən", "Mübariz",
)  # fmt: skip
FEMALE_NAMES: Sequence[str] = (
    "Aygün", "Günel", "Sevinc", "Nərmin", "Leyla", "Aysel", "Könül", "Lalə", "Nigar", "Türkan",
    "Ülviyyə", "Səbinə", "Rəna", "Xatirə", "Fidan", "Zümrüd", "Arzu", "Çinarə", "Məleykə", "Ələviyyə",
)  # fmt: skip
FATHERS: Sequence[str] = (
    "Əli", "Həsən", "Hüseyn", "Məmməd", "İbrahim", "Yusif", "Rauf", "Tofiq", "Ağamir", "Sabir",
    "Nizami", "Faiq", "Ələkbər", "Qurban", "Şükür", "Vaqif",
)  # fmt: skip
# Stems that take -ov/-ova or -yev/-yeva by the sex of the person.
SURNAMES: Sequence[tuple[str, str]] = tuple(
    (stem + "ov", stem + "ova") for stem in ("Qaradağl", "Sarıtorpaq", "Ağdərəl", "Göyçəl", "Dağbəy", "Narlıq")
) + tuple(
    (stem + "yev", stem + "yeva")
    for stem in ("Boztəpə", "Çaylı", "Gəncəvi", "Xəzri", "Murovdağlı", "Səməndə", "Tərtəri", "Zirvə", "Ulduzlu")
)

TEXTS: Mapping[str, Sequence[str]] = {
    "institution": ("1 saylı şəhər poliklinikası", "Mərkəzi rayon xəstəxanası", "2 saylı klinik tibbi mərkəz"),
    "employer_name": ("Çinar Tikinti MMC", "Narınc Tekstil MMC", "Ağ Şəhər Nəqliyyat MMC", "Bağban Aqro MMC"),
    "fate_place": ("Tərtər rayonu", "Füzuli rayonu", "Cəbrayıl rayonu", "Ağdərə istiqaməti"),
    "burial_place": ("Şəhidlər xiyabanı", "Rayon şəhidlər xiyabanı", "Kənd qəbiristanlığı"),
    "rank": ("əsgər", "kiçik çavuş", "çavuş", "gizir", "leytenant", "kapitan", "mayor"),
    "court": ("Rayon Məhkəməsi", "Bakı Apellyasiya Məhkəməsi"),
    "sanatorium": ("Naftalan sanatoriyası", "Qalaaltı sanatoriyası", "Şıx sanatoriyası"),
    "clinic": ("Ortopedik protezləmə və bərpa mərkəzi", "Bərpa mərkəzi"),
    "settlement": ("Bakı", "Gəncə", "Sumqayıt", "Mingəçevir", "Ramana qəsəbəsi"),
    "street": ("Çinar küçəsi", "Narlı küçəsi", "8-ci köndələn küçə", "İpəkçi küçəsi"),
    "profile": ("əsəb sistemi", "dayaq-hərəkət sistemi", "ürək-damar"),
    "remark": ("Xidmətdən razıyam.", "Növbə uzun idi.", "Təşəkkür edirəm.", "Sənədlər tez hazırlandı."),
    "reason": ("Sənədlər tam deyil.", "Ərizəçi imtina etdi.", "Hüquq yaranmayıb."),
}
ANY_TEXT: Sequence[str] = ("məlumat", "qeyd yoxdur", "əlavə olunub", "arxivdən götürülüb")
MAP_KEYS: Sequence[str] = ("birinci", "ikinci", "üçüncü", "dördüncü", "beşinci")

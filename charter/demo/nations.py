"""The states that send observers, and names of people from there as they write them: with every diacritic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Nation:
    """Where a mission's observers come from. state: its name by language. Surnames of women only where they differ."""

    state: dict[str, str]
    men: tuple[str, ...]
    women: tuple[str, ...]
    surnames: tuple[str, ...]
    womens_surnames: tuple[str, ...] = ()
    is_surname_first: bool = False
    language: str = "en"


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


NATIONS: Final[dict[str, Nation]] = {
    "pl": Nation(
        {"kk": "Польша Республикасы", "ru": "Республика Польша", "en": "Republic of Poland"},
        _listed("Łukasz, Wojciech, Paweł, Grzegorz, Sławomir"),
        _listed("Małgorzata, Agnieszka, Elżbieta, Zofia, Bożena"),
        _listed("Dąbek, Gąsiorek, Kołodziejak, Śliwka, Źrebiec"),
    ),
    "de": Nation(
        {"kk": "Германия Федеративтік Республикасы", "ru": "Федеративная Республика Германия", "en": "Germany"},
        _listed("Jürgen, Günter, Matthias, Sönke, Hans-Jörg"),
        _listed("Käthe, Friederike, Anneliese, Bärbel, Ann-Kathrin"),
        _listed("Böttger, Grünewald, Köhlmann, Schäfermeier, Weißbach"),
    ),
    "tr": Nation(
        {"kk": "Түркия Республикасы", "ru": "Турецкая Республика", "en": "Republic of Türkiye"},
        _listed("Çağlar, Gökhan, İlker, Serdar, Uğur"),
        _listed("Ayşe, Gülşah, Elif, Şeyma, Özge"),
        _listed("Çelikkol, Kılıçoğlu, Öztekin, Şahinbaş, Yıldıran"),
    ),
    "es": Nation(
        {"kk": "Испания Корольдігі", "ru": "Королевство Испания", "en": "Kingdom of Spain"},
        _listed("Andrés, Íñigo, José Luis, Joaquín"),
        _listed("Begoña, Inés, María José, Rocío"),
        _listed("Gómez Ibáñez, Peñalver Núñez, Zúñiga Marín, Echevarría Peña"),
    ),
    "fr": Nation(
        {"kk": "Франция Республикасы", "ru": "Французская Республика", "en": "French Republic"},
        _listed("Benoît, François, Jérôme, Rémi"),
        _listed("Anaïs, Clémence, Hélène, Maëlle"),
        _listed("Béranger, Châtelain, D'Aubremont, Lefèvre-Garnier"),
    ),
    "se": Nation(
        {"kk": "Швеция Корольдігі", "ru": "Королевство Швеция", "en": "Kingdom of Sweden"},
        _listed("Björn, Håkan, Åke"),
        _listed("Åsa, Märta, Linnéa"),
        _listed("Åkerlind, Sjölander, Lövdahl"),
    ),
    "no": Nation(
        {"kk": "Норвегия Корольдігі", "ru": "Королевство Норвегия", "en": "Kingdom of Norway"},
        _listed("Øyvind, Bjørnar, Sindre"),
        _listed("Åshild, Solveig, Bjørg"),
        _listed("Brekkhus, Øvregård, Tveitås"),
    ),
    "cz": Nation(
        {"kk": "Чех Республикасы", "ru": "Чешская Республика", "en": "Czech Republic"},
        _listed("Jiří, Ondřej, Tomáš"),
        _listed("Božena, Jiřina, Markéta"),
        _listed("Dvořáček, Hřebík, Šimůnek"),
        _listed("Dvořáčková, Hřebíková, Šimůnková"),
    ),
    "hu": Nation(
        {"kk": "Мажарстан", "ru": "Венгрия", "en": "Hungary"},
        _listed("Gergő, László, Zsolt"),
        _listed("Ágnes, Zsófia, Emőke"),
        _listed("Kőszegi, Tóthfalusi, Vörösházi"),
    ),
    "lv": Nation(
        {"kk": "Латвия Республикасы", "ru": "Латвийская Республика", "en": "Republic of Latvia"},
        _listed("Ģirts, Jānis, Kārlis"),
        _listed("Līga, Žanete, Dzidra"),
        _listed("Celmiņš, Kļaviņš, Rudzītis"),
        _listed("Celmiņa, Kļaviņa, Rudzīte"),
    ),
    "ro": Nation(
        {"kk": "Румыния", "ru": "Румыния", "en": "Romania"},
        _listed("Ionuț, Ștefan, Răzvan"),
        _listed("Ioana, Mălina, Ruxandra"),
        _listed("Brătescu, Mureșanu, Țurcan"),
    ),
    "is": Nation(
        {"kk": "Исландия", "ru": "Исландия", "en": "Iceland"},
        _listed("Sigurður, Þorgeir"),
        _listed("Þórdís, Ásta"),
        _listed("Ármannsson, Hallgeirsson"),
        _listed("Ármannsdóttir, Hallgeirsdóttir"),
    ),
    "gb": Nation(
        {"kk": "Ұлыбритания", "ru": "Великобритания", "en": "United Kingdom"},
        _listed("Alistair, Oliver, Rhys"),
        _listed("Harriet, Philippa, Siân"),
        _listed("Ashcombe, Penrose-Hyde, O'Dunnigan"),
    ),
    "az": Nation(
        {"kk": "Әзербайжан Республикасы", "ru": "Азербайджанская Республика", "en": "Republic of Azerbaijan"},
        _listed("Elçin, Vüqar, Rəşad"),
        _listed("Günel, Şəfəq, Ülviyyə"),
        _listed("Hüseynzadə, Məmmədli, Əliyarlı"),
    ),
    "jp": Nation(
        {"kk": "Жапония", "ru": "Япония", "en": "Japan"},
        _listed("Kenji, Shōta"),
        _listed("Yūko, Haruka"),
        _listed("Hirabayashi, Ōmori"),
    ),
    "vn": Nation(
        {"kk": "Вьетнам", "ru": "Вьетнам", "en": "Viet Nam"},
        _listed("Quốc Bảo, Văn Hậu"),
        _listed("Thị Hạnh, Thu Hường"),
        _listed("Nguyễn, Trần"),
        is_surname_first=True,
    ),
    "uz": Nation(
        {"kk": "Өзбекстан Республикасы", "ru": "Республика Узбекистан", "en": "Republic of Uzbekistan"},
        _listed("Akmal, Bahodir, Jahongir, Oʻktam, Otabek, Sherzod, Toʻlqin, Ulugʻbek"),
        _listed("Dilnoza, Gulnora, Moʻtabar, Nigora, Oygul, Saodat, Shahnoza, Zulfiya"),
        _listed("Gʻaniyev, Holmatov, Nishonov, Oʻrinov, Toshmatov, Yoʻldoshev, Boʻriyev, Ergashev"),
        _listed("Gʻaniyeva, Holmatova, Nishonova, Oʻrinova, Toshmatova, Yoʻldosheva, Boʻriyeva, Ergasheva"),
    ),
    "kg": Nation(
        {"kk": "Қырғыз Республикасы", "ru": "Кыргызская Республика", "en": "Kyrgyz Republic"},
        _listed("Айбек, Нурдин, Тилек, Эмилбек"),
        _listed("Айзада, Жылдыз, Каныкей, Чолпон"),
        _listed("Дүйшөев, Жолдошбеков, Төрөгелдиев, Ысманов"),
        _listed("Дүйшөева, Жолдошбекова, Төрөгелдиева, Ысманова"),
        is_surname_first=True,
        language="ru",
    ),
    "by": Nation(
        {"kk": "Беларусь Республикасы", "ru": "Республика Беларусь", "en": "Republic of Belarus"},
        _listed("Алесь, Виталий, Янка, Станислав"),
        _listed("Алеся, Оксана, Янина, Светлана"),
        _listed("Вашкевич, Гринюк, Кацубо, Мядель"),
        is_surname_first=True,
        language="ru",
    ),
    "tj": Nation(
        {"kk": "Тәжікстан Республикасы", "ru": "Республика Таджикистан", "en": "Republic of Tajikistan"},
        _listed("Далер, Сомон, Фирӯз"),
        _listed("Мижгона, Нилуфар, Фарзона"),
        _listed("Ҳакимпур, Қосимзода, Ҷӯраев"),
        _listed("Ҳакимпур, Қосимзода, Ҷӯраева"),
        is_surname_first=True,
        language="ru",
    ),
}

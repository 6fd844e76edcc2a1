"""Names for a million entries: words as uneven as in life, some borne by very many, tens of thousands by a handful."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from random import Random
from typing import NamedTuple

from charter.demo import names as demo
from charter.demo.letters import romanise
from charter.demo.nations import NATIONS

#: Kazakh surnames of two parts and an ending, Russian ones of a root and an ending: most of them nobody bears.
_FIRST_PARTS = demo._list(
    "Абай Абдра Ай Айт Ақ Алда Алтын Алма Аман Ар Арыс Асан Асыл Ата Ахмет Әбді Әбіл Әділ Әл Әлі Әшім Байт Бай "
    "Балта Батыр Бақыт Бек Бекен Бер Бейсен Біржан Болат Дәулет Дос Досым Дүйсен Елеу Ер Есен Есім Ескен Ғабит "
    "Ғали Жаз Жақсы Жан Жанұзақ Жар Жолды Жұма Жүніс Ибра Иса Кәрім Кенже Кеңес Көбей Көшер Күміс Қабыл Қазы "
    "Қайыр Қали Қара Қожа Қойшы Қонақ Құдай Құлман Құрман Лес Мақсұт Малай Мамыр Маңғы Молда Мұқан Мұса Мырза "
    "Найза Нұр Нұрғали Ораз Оңғар Орал Өмір Өтеге Рақым Рыс Сағын Садық Сапар Сары Сарсен Сатыбал Сейіт Сейдах "
    "Смағұл Сұлтан Сыдық Тас Тәжі Темір Тілеу Тоқта Төле Төре Тұр Тұрсын Ұзақ Үсен Шал Шәрі Шоқан Ысқақ Ілияс"
)
_SECOND_PARTS = demo._list(
    "бай бек бала ғазы ғали ғара дулла жан жол қабыл қали қан қожа құл ман мұрат мұхамбет нияз рбай сары тай тас "
    "темір уақас хан шал шора"
)
_KAZAKH_ENDINGS = ("ов", "ев", "", "ұлы")
_ROOTS = demo._list(
    "Абак Агап Аксён Анис Архип Бабул Баж Бар Белош Бирюк Бобр Богд Борд Ботв Брыз Буд Бурд Ваг Варак Вахр Верет "
    "Вост Гавр Гагар Гал Глад Глух Годун Гор Горд Град Греч Губ Гудк Дан Дем Дерг Добр Долг Дор Дроб Дуд Евст "
    "Елист Жив Журав Заб Зав Зим Злат Зуб Иванч Игнат Кадыш Калг Калин Кам Карас Кваш Кир Клим Кобз Ковш Колос "
    "Кондр Корж Корз Кост Кош Крав Крапив Кудр Кул Кусл Лап Лев Лис Лобан Лукаш Лут Мазур Мал Марк Масл Мед Мельн "
    "Мерк Мир Мокр Мур Наг Незв Несм Ник Овс Онищ Остап Охр Павл Панф Пестр Пискар Плот Поляк Прих Прох Пруд Рад "
    "Рог Рожн Рудн Рябин Савел Сазон Сел Сем Сидор Скор Слеп Сол Стар Степан Сухор Тар Терех Ткач Тур Уваж Усол "
    "Фад Филип Фрол Харит Хром Цап Чеб Черк Чуб Шар Шев Шил Шиш Щег Щуп Юд Юрк Яким Ярц Ясн"
)
_RUSSIAN_ENDINGS = demo._list("ов ев ин енко ёнков иков кин кинов чук ский цев ышев яков овский инин ихин ников ушкин")
#: Kazakh letters as Russian papers write them.
_TO_RUSSIAN = str.maketrans("әғқңөұүһіӘҒҚҢӨҰҮҺІ", "агкноуухиАГКНОУУХИ")

_FROM_ABROAD = 0.03


class _Sort(NamedTuple):
    """People whose names are made alike. share: of all."""

    is_kazakh: bool
    sex: str
    language: str
    share: float


_SORTS = [
    _Sort(is_kazakh, sex, language, share / 2)
    for sex in (demo.WOMAN, demo.MAN)
    for is_kazakh, language, share in (
        (True, "kk", 0.46),
        (True, "ru", 0.21),
        (True, "en", 0.03),
        (False, "kk", 0.01),
        (False, "ru", 0.28),
        (False, "en", 0.01),
    )
]


class _Drawn:
    """Words of which the first are far more frequent than the last, as names are (Zipf); the order is by chance."""

    def __init__(self, dice: Random, words: Sequence[str], *, flatness: float) -> None:
        self._words = words
        self._weights = list(accumulate(1 / (place + flatness) for place in range(len(words))))
        self._dice = dice

    def many(self, count: int) -> list[str]:
        return self._dice.choices(self._words, cum_weights=self._weights, k=count)


class _Makings:
    """What names of one sort are put together from."""

    def __init__(self, dice: Random, sort: _Sort, surnames: Sequence[str], fathers: Sequence[str]) -> None:
        is_woman = sort.sex == demo.WOMAN
        table = demo._KAZAKH if sort.is_kazakh else demo._RUSSIAN
        given = [word.in_(sort.language) for word in table[sort.sex]]
        spell = _speller(sort.language)
        self._is_latin = sort.language == "en"
        self._dice = dice
        self._surnames = _Drawn(dice, [spell(demo._surname(one, sort.sex)) for one in surnames], flatness=40)
        self._given = _Drawn(dice, given, flatness=8)
        if sort.is_kazakh:
            own = [spell(father + ("қызы" if is_woman else "ұлы")) for father in fathers]
        else:
            own = [spell(demo._daughter(father) if is_woman else father) for father in fathers]
        self._patronymics = _Drawn(dice, own, flatness=15)

    def names(self, count: int) -> list[str]:
        """So many, each from one draw of its parts."""
        parts = zip(self._surnames.many(count), self._given.many(count), self._patronymics.many(count), strict=True)
        if self._is_latin:
            return [f"{given} {surname}" for surname, given, _ in parts]
        forms = self._dice.choices((0, 1, 2), (6, 3, 1), k=count)
        return [
            f"{surname} {given} {patronymic}"
            if form == 0
            else f"{surname} {given}"
            if form == 1
            else f"{given} {surname}"
            for form, (surname, given, patronymic) in zip(forms, parts, strict=True)
        ]


class Crowd:
    """Draws names; the same seed gives the same ones."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        stems = [first + second for first in _FIRST_PARTS for second in _SECOND_PARTS]
        kazakh = [word.kk for word in (*demo._KAZAKH_SURNAMES, *demo._KAZAKH_BARE_SURNAMES)]
        kazakh += [stem + ending for stem in stems for ending in _KAZAKH_ENDINGS]
        russian = [*demo._RUSSIAN_SURNAMES, *(root + ending for root in _ROOTS for ending in _RUSSIAN_ENDINGS)]
        fathers = [word.kk for word in demo._KAZAKH_FATHERS]
        fathers += dice.sample(stems, 400)
        surnames = {True: list(dict.fromkeys(kazakh)), False: list(dict.fromkeys(russian))}
        patronymics = {True: fathers, False: list(demo._RUSSIAN_PATRONYMICS)}
        for words in (*surnames.values(), *patronymics.values()):
            dice.shuffle(words)
        self._makings = [
            (sort, _Makings(dice, sort, surnames[sort.is_kazakh], patronymics[sort.is_kazakh])) for sort in _SORTS
        ]

    def names(self, count: int) -> list[tuple[str, str]]:
        """(full name, language of signing) of so many people, in an order by chance."""
        abroad = round(count * _FROM_ABROAD)
        found = [self._from_abroad() for _ in range(abroad)]
        left = count - abroad
        for place, (sort, makings) in enumerate(self._makings):
            is_last = place == len(self._makings) - 1
            share = count - len(found) if is_last else round(left * sort.share)
            found += [(name, sort.language) for name in makings.names(max(0, share))]
        self._dice.shuffle(found)
        return found[:count]

    def _from_abroad(self) -> tuple[str, str]:
        origin = self._dice.choice(list(NATIONS))
        language = NATIONS[origin].language
        return demo.invent_name(self._dice, origin, language=language).full, language


def _speller(language: str) -> Callable[[str], str]:
    """A Kazakh spelling as it is written in this language."""
    if language == "kk":
        return lambda word: word
    if language == "ru":
        return lambda word: word.translate(_TO_RUSSIAN)
    return lambda word: romanise(word.translate(_TO_RUSSIAN))

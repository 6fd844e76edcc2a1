"""Names nobody bears, in the forms people in Kazakhstan and observers from abroad write them.

Surnames are rare ones on purpose, and public figures' are left out, so that no made-up signatory looks like a
well-known person. A word with two spellings is written Kazakh/Russian.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple

from charter.demo.letters import romanise
from charter.demo.nations import NATIONS, Nation
from charter.domain.name import clean_name, clean_short_form, default_short_form

WOMAN: Final = "woman"
MAN: Final = "man"


@dataclass(frozen=True)
class Name:
    """full, short: as the person types them, already clean."""

    full: str
    short: str


class Word(NamedTuple):
    """One name in both spellings."""

    kk: str
    ru: str

    def in_(self, language: str) -> str:
        """Kazakh spelling in Kazakh, Russian in Russian, Latin letters in English."""
        if language == "en":
            return romanise(self.ru)
        return self.kk if language == "kk" else self.ru


def _words(text: str) -> tuple[Word, ...]:
    pairs = (word.partition("/") for word in text.split())
    return tuple(Word(kk, ru or kk) for kk, _, ru in pairs)


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_KAZAKH = {
    MAN: _words(
        "Айдос Айдын Алмас Арман Асылбек Әділет/Адилет Бауыржан/Бауржан Бекзат Берік/Берик Данияр Дархан "
        "Дәулет/Даулет Дидар Ғалым/Галым Ерлан Ержан Ерасыл Ермек Есен Жандос Жанат Жасұлан/Жасулан Қайрат/Кайрат "
        "Қанат/Канат Қуаныш/Куаныш Мақсат/Максат Марат Медет Мирас Мұрат/Мурат Нұржан/Нуржан Нұрлан/Нурлан Рауан "
        "Рүстем/Рустем Сағат/Сагат Самат Санжар Серік/Серик Талғат/Талгат Тимур Төлеген/Толеген Ұлан/Улан "
        "Шыңғыс/Шынгыс Ілияс/Ильяс"
    ),
    WOMAN: _words(
        "Айгерім/Айгерим Айгүл/Айгуль Айжан Айнұр/Айнур Айсұлу/Айсулу Ақмарал/Акмарал Анар Арайлым Әсел/Асель "
        "Әсем/Асем Әлия/Алия Ботагөз/Ботагоз Гүлнар/Гульнар Гүлмира/Гульмира Дана Динара Жанар Жанна Жұлдыз/Жулдыз "
        "Зарина Зәуре/Зауре Камила Қарлығаш/Карлыгаш Лаура Ләззат/Ляззат Мадина Маржан Меруерт Мөлдір/Молдир "
        "Назерке Назым Нұргүл/Нургуль Перизат Раушан Салтанат Сания Сәуле/Сауле Сымбат Толғанай/Толганай "
        "Ұлжан/Улжан Шолпан Шынар"
    ),
}
_KAZAKH_FATHERS = _words(
    "Аманжол Асқар/Аскар Бақыт/Бахыт Берік/Берик Болат Ғабит/Габит Ерлан Ермек Жанат Жұмабек/Жумабек Қадыр/Кадыр "
    "Қайрат/Кайрат Қанат/Канат Кеңес/Кенес Марат Мұрат/Мурат Нұрлан/Нурлан Ораз Сағат/Сагат Самат Серік/Серик "
    "Талғат/Талгат Тоқтар/Токтар Төлеген/Толеген Есенжол Сабыр"
)
_KAZAKH_SURNAMES = _words(
    "Айтжанов Алдабергенов Амантаев Ахмедияров Әбдірешов/Абдрешов Әлжанов/Альжанов Бегімбетов/Бегимбетов Бейсенов "
    "Бекмағанбетов/Бекмаганбетов Досжанов Дүйсенов/Дюсенов Есенжолов Жақсыбаев/Жаксыбаев Жанғалиев/Жангалиев "
    "Жүнісбеков/Жунусбеков Ибраимов Исабаев Кәрімжанов/Каримжанов Қалиев/Калиев Қасенов/Касенов "
    "Қожабеков/Кожабеков Қуантаев/Куантаев Мамырбаев Мұсабеков/Мусабеков Нұрғазин/Нургазин Оразалин "
    "Өмірзақов/Омирзаков Рахимжанов Рысбаев Садуақасов/Садвакасов Сарсенов Сейдахметов Смағұлов/Смагулов "
    "Тілеубаев/Тлеубаев Төребеков/Туребеков Темірханов/Темирханов Ұзақов/Узаков Үсенов/Усенов Хамзин "
    "Шәменов/Шаменов Ықыласов/Икласов"
)
_KAZAKH_BARE_SURNAMES = _words(
    "Әбілқас/Абилкас Жұмабек/Жумабек Қайырбек/Кайырбек Қуандық/Куандык Нұрғали/Нургали Оразбек Сәрсен/Сарсен "
    "Сейтқали/Сейткали Тілеуқабыл/Тлеукабыл Төлеубек/Толеубек Тұрсынбек/Турсынбек Ыдырыс/Идрис Есжан Балтабек"
)

_RUSSIAN = {
    MAN: _words(
        "Александр Алексей Андрей Антон Артём Борис Вадим Валерий Василий Виталий Владислав Геннадий Григорий Денис "
        "Дмитрий Евгений Егор Игорь Илья Кирилл Константин Максим Николай Олег Павел Пётр Роман Семён Сергей "
        "Станислав Фёдор Юрий Ярослав"
    ),
    WOMAN: _words(
        "Александра Алина Анастасия Анна Антонина Валентина Валерия Вера Вероника Виктория Галина Дарья Евгения "
        "Екатерина Елена Елизавета Зинаида Зоя Инна Ирина Карина Кристина Ксения Лариса Лидия Любовь Людмила "
        "Маргарита Марина Мария Надежда Наталья Нина Оксана Ольга Полина Раиса Светлана София Тамара Татьяна Юлия Яна"
    ),
}
_RUSSIAN_PATRONYMICS = _list(
    "Александрович Алексеевич Андреевич Борисович Васильевич Викторович Владимирович Геннадьевич Григорьевич "
    "Дмитриевич Евгеньевич Иванович Игоревич Михайлович Николаевич Олегович Павлович Петрович Сергеевич Фёдорович "
    "Юрьевич Яковлевич"
)
_RUSSIAN_SURNAMES = _list(
    "Агапов Беляшин Бондаренко Вахрушин Веретенников Гордиенко Дорофеев Ермолаев Журавихин Зимин Игнатенко Калугин "
    "Коваленко Корзун Кудряшин Лаптев Лисовенко Мельничук Меркулов Незванов Остапчук Овсянкин Панфёров Пестряков "
    "Рожнов Рябинский Селиванов Сидоренко Сухоруков Терехин Ткаченко Усольцев Филиппенко Хромов Черкашин Шиманчук "
    "Щеглов Юдин Ярцев Яценко"
)
_GERMAN_SURNAMES = _list(
    "Бауэр Вайсгербер Вебер Гергерт Гофманн Дик Кайзер Келлер Лоренц Майер Рейнгардт Фогель Шмидт Штайнбах "
    "Эрлих Эйснер Бехтольд"
)
_GERMAN_PATRONYMICS = _list("Генрихович Эдуардович Фридрихович Карлович Рудольфович Артурович")
_KOREAN_SURNAMES = _list("Ан Ким Кан Ли Лигай Магай Нам Ногай Огай Пак Хван Хегай Цой Шегай Югай")
_TATAR = {
    MAN: _words("Айдар Ильдар Ильнур Камиль Рамиль Рафаэль Ринат Фарит"),
    WOMAN: _words("Венера Гульнара Гузель Лилия Наиля Рамиля Резеда Фарида"),
}
_TATAR_SURNAMES = _list("Бикмуллин Валиахметов Гайнутдинов Зиганшин Мингазов Сабиров Хабибуллин Шарафутдинов")
_TATAR_PATRONYMICS = _list("Анварович Ильдарович Камилевич Маратович Равилевич Ринатович Талгатович Фаритович")

_UYGHUR = {
    MAN: _words("Абдукерим Азат Алимжан Батур Долқун/Долкун Мурадил Рустам Турғанжан/Турганжан Шавкат Шухрат"),
    WOMAN: _words(
        "Адалят Аделям Гүлбаһрам/Гульбахрам Маһинур/Махинур Патигүл/Патигуль Рена Ризвангүл/Ризвангуль Сайяра "
        "Һезретгүл/Хазретгуль Чимангүл/Чимангуль"
    ),
}
_UYGHUR_SURNAMES = _words(
    "Аюпов Илахунов Имиров Насыров Нурахунов Розахунов Самсақов/Самсаков Тохтахунов Турдахунов Һашимов/Хашимов Ушуров"
)
_UYGHUR_FATHERS = _words("Азат Алимжан Батур Рустам Шавкат Һашим/Хашим Юсуп Илахун")

_UZBEK = {
    MAN: _words("Ақмал/Акмаль Баходир Дилшод Жаҳонгир/Жахонгир Илҳом/Илхом Отабек Равшан Тоҳир/Тахир Фаррух Шерзод"),
    WOMAN: _words(
        "Гулнора Дилноза Дилфуза Зулфия Камола Мавлюда Муаттар Насиба Нигора Озода Саодат Умида Феруза Шаҳноза/Шахноза"
    ),
}
_UZBEK_SURNAMES = _words(
    "Йўлдошев/Юлдашев Мирзаахмедов Ниязметов Нишонов/Нишанов Рахматуллаев Тошматов/Ташматов Умурзоқов/Умурзаков "
    "Холматов Эргашев Ўринов/Уринов Ғаниев/Ганиев"
)
_UZBEK_FATHERS = _words("Баходир Дилшод Илҳом/Илхом Отабек Равшан Шерзод Эргаш")


def _feminine(surname: str) -> str:
    """Of a Russian-style surname in Cyrillic or Latin letters; others have one form for everybody."""
    if surname.endswith("ский"):
        return surname.removesuffix("ий") + "ая"
    return surname + "а" if surname.endswith(("ов", "ев", "ёв", "ин")) else surname


def _surname(word: str, sex: str) -> str:
    return _feminine(word) if sex == WOMAN else word


def _daughter(patronymic: str) -> str:
    return patronymic.removesuffix("ич") + "на"


def _russian_patronymic(father: str) -> str:
    return father.removesuffix("ь") + ("евич" if father.endswith("ь") else "ович")


def _kazakh_patronymic(father: Word, sex: str, language: str) -> str:
    """«Серікұлы», «Серікқызы»; in Russian and Latin letters as on papers."""
    kk = father.kk + ("қызы" if sex == WOMAN else "ұлы")
    ru = father.ru + ("кызы" if sex == WOMAN else "улы")
    return Word(kk, ru).in_(language)


def _first(dice: Random, table: dict[str, tuple[Word, ...]], sex: str) -> Word:
    return dice.choice(table[sex])


def _short(dice: Random, full: str, *, given: str, surname: str | None) -> Name:
    """Most keep the proposal; some prefer the given name first."""
    full = clean_name(full)
    chosen = default_short_form(full)
    if surname is not None and given != surname and dice.random() < 0.5:
        chosen = f"{given} {surname[0]}."
    return Name(full, clean_short_form(chosen))


def _kazakh(dice: Random, sex: str, language: str) -> Name:
    given = _first(dice, _KAZAKH, sex).in_(language)
    father = dice.choice(_KAZAKH_FATHERS)
    surname = _surname(dice.choice(_KAZAKH_SURNAMES).in_("ru" if language == "en" else language), sex)
    bare = dice.choice(_KAZAKH_BARE_SURNAMES).in_(language)
    patronymic = _kazakh_patronymic(father, sex, language)
    official = _russian_patronymic(father.ru)
    official = _daughter(official) if sex == WOMAN else official
    if language == "en":
        surname = romanise(surname)
        form = dice.choices(("given surname", "given bare", "official"), (70, 22, 8))[0]
    elif language == "kk":
        form = dice.choices(
            ("surname patronymic", "bare patronymic", "given patronymic", "surname", "given bare", "single", "double"),
            (42, 16, 14, 12, 12, 2, 2),
        )[0]
    else:
        form = dice.choices(
            ("official", "surname patronymic", "surname", "given surname", "given bare", "single", "double"),
            (56, 16, 14, 6, 5, 1, 2),
        )[0]
    texts = {
        "official": (f"{surname} {given} {official if language != 'en' else romanise(official)}", surname),
        "surname patronymic": (f"{surname} {given} {patronymic}", surname),
        "bare patronymic": (f"{bare} {given} {patronymic}", bare),
        "given patronymic": (f"{given} {patronymic}", patronymic),
        "surname": (f"{surname} {given}", surname),
        "given surname": (f"{given} {surname}", surname),
        "given bare": (f"{given} {bare}", bare),
        "single": (given, None),
        "double": (f"{surname}-{bare} {given}", surname),
    }
    text, family = texts[form]
    return _short(dice, text, given=given, surname=family)


def _russian(dice: Random, sex: str, language: str) -> Name:
    surname = _surname(dice.choice(_RUSSIAN_SURNAMES), sex)
    if sex == WOMAN and dice.random() < 0.04:
        surname = f"{surname}-{_feminine(dice.choice(_RUSSIAN_SURNAMES))}"
    return _slavic(dice, sex, language, surname, _first(dice, _RUSSIAN, sex), dice.choice(_RUSSIAN_PATRONYMICS))


def _german(dice: Random, sex: str, language: str) -> Name:
    patronymic = dice.choice((*_GERMAN_PATRONYMICS, *_RUSSIAN_PATRONYMICS))
    return _slavic(dice, sex, language, dice.choice(_GERMAN_SURNAMES), _first(dice, _RUSSIAN, sex), patronymic)


def _korean(dice: Random, sex: str, language: str) -> Name:
    surname, given = dice.choice(_KOREAN_SURNAMES), _first(dice, _RUSSIAN, sex)
    if surname == "Ким" and given.ru == "Роман":
        surname = "Лигай"
    return _slavic(dice, sex, language, surname, given, dice.choice(_RUSSIAN_PATRONYMICS))


def _tatar(dice: Random, sex: str, language: str) -> Name:
    surname = _surname(dice.choice(_TATAR_SURNAMES), sex)
    return _slavic(dice, sex, language, surname, _first(dice, _TATAR, sex), dice.choice(_TATAR_PATRONYMICS))


def _slavic(dice: Random, sex: str, language: str, surname: str, given: Word, patronymic: str) -> Name:
    father = _daughter(patronymic) if sex == WOMAN else patronymic
    form = dice.choices(("whole", "surname", "given", "first"), (66, 14, 16, 4))[0]
    text = {
        "whole": f"{surname} {given.ru} {father}",
        "surname": f"{surname} {given.ru}",
        "given": f"{given.ru} {surname}",
        "first": f"{given.ru} {father} {surname}",
    }[form]
    if language == "en":
        text, surname = romanise(f"{given.ru} {surname}"), romanise(surname)
        return _short(dice, text, given=romanise(given.ru), surname=surname)
    return _short(dice, text, given=given.ru, surname=surname)


def _uyghur(dice: Random, sex: str, language: str) -> Name:
    given = _first(dice, _UYGHUR, sex).in_(language)
    spelling = "kk" if language == "kk" else "ru"
    surname = _surname(dice.choice(_UYGHUR_SURNAMES).in_(spelling), sex)
    father = _russian_patronymic(dice.choice(_UYGHUR_FATHERS).in_(spelling))
    if language == "en":
        return _short(dice, f"{given} {romanise(surname)}", given=given, surname=romanise(surname))
    text = f"{surname} {given}"
    if dice.random() < 0.7:
        text = f"{text} {_daughter(father) if sex == WOMAN else father}"
    return _short(dice, text, given=given, surname=surname)


def _uzbek(dice: Random, sex: str, language: str) -> Name:
    if language == "en" or dice.random() < 0.12:
        return _of_nation(dice, NATIONS["uz"], sex)
    given = _first(dice, _UZBEK, sex).in_(language)
    surname = _surname(dice.choice(_UZBEK_SURNAMES).in_(language), sex)
    father = dice.choice(_UZBEK_FATHERS)
    if language == "kk" or dice.random() < 0.25:
        ending = "қизи" if sex == WOMAN else "ўғли"
        return _short(dice, f"{surname} {given} {father.kk} {ending}", given=given, surname=surname)
    patronymic = _russian_patronymic(father.ru)
    text = f"{surname} {given} {_daughter(patronymic) if sex == WOMAN else patronymic}"
    return _short(dice, text, given=given, surname=surname)


def _of_nation(dice: Random, nation: Nation, sex: str) -> Name:
    given = dice.choice(nation.women if sex == WOMAN else nation.men)
    surname = dice.choice((nation.womens_surnames or nation.surnames) if sex == WOMAN else nation.surnames)
    parts = (surname, given) if nation.is_surname_first else (given, surname)
    return _short(dice, " ".join(parts), given=given, surname=surname)


_DOMESTIC = {
    "kazakh": _kazakh,
    "russian": _russian,
    "uzbek": _uzbek,
    "uyghur": _uyghur,
    "korean": _korean,
    "german": _german,
    "tatar": _tatar,
}
ORIGINS: Final = tuple(_DOMESTIC)


def invent_name(dice: Random, origin: str, *, language: str) -> Name:
    """A name of either sex. origin: one of ORIGINS or a key of NATIONS; language: the one the person signs in."""
    sex = dice.choice((WOMAN, MAN))
    if origin in NATIONS:
        return _of_nation(dice, NATIONS[origin], sex)
    return _DOMESTIC[origin](dice, sex, language)

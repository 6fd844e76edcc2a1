"""What reviewers ask and signatories answer in the demonstration, in the language of the signatory's mails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: reason → language → (question, answer)
QUESTIONS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "name-unclear": {
        "kk": (
            "Атыңыз жеке куәлікте дәл осылай жазылған ба?",
            "Иә, жеке куәлігімде де дәл осылай жазылған.",
        ),
        "ru": (
            "Так ли ваше имя написано в удостоверении личности?",
            "Да, в удостоверении написано точно так же.",
        ),
        "en": (
            "Is your name written like this in your passport?",
            "Yes, it is written in the same way in my passport.",
        ),
    },
    "affiliation-unclear": {
        "kk": (
            "Ұйымыңыздың толық атауын жазыңызшы.",
            "Толық атауы өтінімде көрсетілген, басқа атауы жоқ.",
        ),
        "ru": (
            "Напишите, пожалуйста, полное название вашей организации.",
            "Полное название указано в заявке, другого у нас нет.",
        ),
        "en": (
            "Please write the full name of your organisation.",
            "The name in my application is the full one; we have no other.",
        ),
    },
    "region-unclear": {
        "kk": (
            "Дауыс беру күні қай өңірде байқайсыз?",
            "Өтінімде көрсеткен өңірде байқаймын.",
        ),
        "ru": (
            "В каком регионе вы будете наблюдать в день голосования?",
            "В том, который указан в заявке.",
        ),
        "en": (
            "In which region will you observe on election day?",
            "In the region that I gave in my application.",
        ),
    },
    "looks-duplicate": {
        "kk": (
            "Хартияға бұрын, мүмкін, атыңызды басқаша жазып, қол қойған жоқсыз ба?",
            "Жоқ, бірінші рет қол қойып отырмын.",
        ),
        "ru": (
            "Не подписывали ли вы Хартию раньше, возможно, в другом написании имени?",
            "Нет, я подписываю впервые.",
        ),
        "en": (
            "Have you signed the Charter before, perhaps in another spelling of your name?",
            "No, this is the first time that I sign.",
        ),
    },
    "something-else": {
        "kk": (
            "Бұрын байқаушы болдыңыз ба? Жауабыңыз шешімге әсер етпейді.",
            "Иә, екі рет болдым.",
        ),
        "ru": (
            "Были ли вы наблюдателем раньше? На решение ответ не влияет.",
            "Да, два раза.",
        ),
        "en": (
            "Have you observed before? Your answer does not affect the decision.",
            "Yes, twice.",
        ),
    },
}

#: Why an application was declined for "another reason", which has to be explained.
OTHER_REASON: Final[Mapping[str, str]] = {
    "kk": "Сіз өтінімді әріптесіңіздің атынан толтырыпсыз. Әркім өзі қол қоюы керек.",
    "ru": "Вы заполнили заявку за коллегу. Каждый подписывает Хартию сам.",
    "en": "You filled in the application for a colleague. Everybody signs in person.",
}

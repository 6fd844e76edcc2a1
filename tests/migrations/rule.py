"""The rule that lets processes be replaced one by one: a migration adds, and takes away only what no release uses."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask
from sqlalchemy import inspect

from charter.models.base import db


@dataclass(frozen=True)
class Column:
    """What a statement of old code relies on."""

    type: str
    is_nullable: bool
    has_default: bool


@dataclass(frozen=True)
class TableShape:
    """One table, with everything that can refuse a row."""

    columns: dict[str, Column]
    constraints: frozenset[str]


Shape = dict[str, TableShape]


def shape(app: Flask) -> Shape:
    """The schema as the database itself describes it."""
    with app.app_context():
        db.session.remove()
        found = inspect(db.engine)
        shapes = {}
        for name in found.get_table_names():
            if name == "alembic_version":
                continue
            key = found.get_pk_constraint(name)["constrained_columns"]
            columns = {
                one["name"]: Column(
                    str(one["type"]),
                    bool(one["nullable"]),
                    one["default"] is not None or one["name"] in key,
                )
                for one in found.get_columns(name)
            }
            constraints = {
                *(f"check {one['sqltext']}" for one in found.get_check_constraints(name)),
                *(f"unique {', '.join(one['column_names'])}" for one in found.get_unique_constraints(name)),
                *(
                    f"unique index {', '.join(str(part) for part in one['column_names'])}"
                    for one in found.get_indexes(name)
                    if one["unique"] and not one.get("duplicates_constraint")
                ),
                *(
                    f"{', '.join(one['constrained_columns'])} references {one['referred_table']}"
                    for one in found.get_foreign_keys(name)
                ),
                f"key {', '.join(key)}",
            }
            shapes[name] = TableShape(columns, frozenset(constraints))
        return shapes


def breaches(before: Shape, after: Shape) -> set[str]:
    """What in `after` would break code, rows or statements made for `before`."""
    found = set()
    for name, old in before.items():
        if name not in after:
            found.add(f"{name} is gone")
            continue
        new = after[name]
        for column, was in old.columns.items():
            if column not in new.columns:
                found.add(f"{name}.{column} is gone")
                continue
            now = new.columns[column]
            if now.type != was.type:
                found.add(f"{name}.{column} is {now.type}, was {was.type}")
            if now.is_nullable != was.is_nullable:
                found.add(f"{name}.{column} may {'now' if now.is_nullable else 'no longer'} be NULL")
            if was.has_default and not now.has_default:
                found.add(f"{name}.{column} has no default any more")
        for column in new.columns.keys() - old.columns.keys():
            if not new.columns[column].is_nullable and not new.columns[column].has_default:
                found.add(f"{name}.{column} is new, NOT NULL and has no default")
        found |= {f"{name}: new constraint: {one}" for one in new.constraints - old.constraints}
    return found

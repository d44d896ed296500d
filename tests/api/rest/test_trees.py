"""Random filter trees over a random table: the same rows as the same condition, written in SQL by hand."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.anyio

# Everything that has a meaning somewhere in the grammar, in JSON, in arrays, in patterns or in SQL
WORDS = st.text(alphabet="aAbB 01.,()\"\\{}'%_*:+&=-é", max_size=6)
NUMBERS = st.integers(-3, 3)
COLUMNS = {"n": NUMBERS, "w": WORDS, "f": st.booleans()}
ROWS = st.lists(st.tuples(*(st.none() | kind for kind in COLUMNS.values())), max_size=8)
COMPARISONS = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def in_quotes(text: str) -> str:
    """As a value inside a logic tree or a list needs it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def in_array(texts: list[str]) -> str:
    return "{" + ",".join(in_quotes(text) for text in texts) + "}"


def negated(condition: str, sql: str, parameters: list) -> st.SearchStrategy:
    return st.sampled_from([(condition, sql, parameters), (f"not.{condition}", f"not ({sql})", parameters)])


@st.composite
def conditions(draw, inside: bool) -> tuple[str, str, str, list]:
    """A column, its condition in PostgREST's words, and the same in SQL with its parameters."""
    name = draw(st.sampled_from(sorted(COLUMNS)))

    def written(value) -> str:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return in_quotes(text) if inside else text

    kind = draw(st.sampled_from(["compare", "in", "is", "distinct", "any", *(["like"] if name == "w" else [])]))
    if kind == "compare":
        operator, value = draw(st.sampled_from(sorted(COMPARISONS))), draw(COLUMNS[name])
        condition, sql, parameters = f"{operator}.{written(value)}", f"{name} {COMPARISONS[operator]} %s", [value]
    elif kind == "in":
        values = draw(st.lists(COLUMNS[name], min_size=1, max_size=3))
        listed = ",".join(in_quotes(str(value).lower() if isinstance(value, bool) else str(value)) for value in values)
        condition, sql, parameters = f"in.({listed})", f"{name} = any (%s)", [values]
        if values == [""]:  # an empty list, by PostgREST's rules
            sql, parameters = "false", []
    elif kind == "is":
        word = draw(st.sampled_from(["null", "not_null", *(["true", "false", "unknown"] if name == "f" else [])]))
        condition, sql, parameters = f"is.{word}", f"{name} is {word.replace('_', ' ')}", []
    elif kind == "distinct":
        value = draw(COLUMNS[name])
        condition, sql, parameters = f"isdistinct.{written(value)}", f"{name} is distinct from %s", [value]
    elif kind == "any":
        values = draw(st.lists(COLUMNS[name], min_size=1, max_size=3))
        which = draw(st.sampled_from(["any", "all"]))
        texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
        array = in_quotes(in_array(texts)) if inside else in_array(texts)
        condition, sql, parameters = f"gt({which}).{array}", f"{name} > {which} (%s)", [values]
    else:
        operator = draw(st.sampled_from(["like", "ilike"]))
        value = draw(WORDS.filter(lambda word: not word.endswith("\\")))
        pattern = value.replace("*", "%")
        condition, sql, parameters = f"{operator}.{written(value)}", f"{name} {operator} %s", [pattern]
    return name, *draw(negated(condition, sql, parameters))


@st.composite
def trees(draw, depth: int = 3) -> tuple[str, str, list]:
    """A member of a logic tree, in both languages."""
    if depth == 0 or draw(st.booleans()):
        name, condition, sql, parameters = draw(conditions(inside=True))
        return f"{name}.{condition}", sql, parameters
    operator = draw(st.sampled_from(["and", "or"]))
    members = draw(st.lists(trees(depth - 1), min_size=1, max_size=3))
    text = f"{operator}({','.join(member[0] for member in members)})"
    sql = f" {operator} ".join(f"({member[1]})" for member in members)
    return draw(negated(text, sql, [value for member in members for value in member[2]]))


@st.composite
def queries(draw) -> tuple[list[tuple[str, str]], str, list]:
    """A query string and a WHERE clause that mean the same."""
    pairs, clauses, values = [], ["true"], []
    for name, condition, sql, parameters in draw(st.lists(conditions(inside=False), max_size=2)):
        pairs.append((name, condition))
        clauses.append(sql)
        values += parameters
    for text, sql, parameters in draw(st.lists(trees(), max_size=2)):
        operator, parenthesis, members = text.partition("(")
        if not parenthesis or operator not in ("and", "or", "not.and", "not.or"):
            operator, members = "and", f"{text})"
        pairs.append((operator, f"({members}"))
        clauses.append(sql)
        values += parameters
    return pairs, " and ".join(f"({clause})" for clause in clauses), values


@settings(
    max_examples=120,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)
@given(rows=ROWS, query=queries())
async def test_a_filter_means_what_it_means_in_sql(rest, owner, rows, query):
    pairs, where, values = query
    owner.execute(
        "create table if not exists public.random_rows (id serial primary key, n integer, w text, f boolean);"
        "truncate public.random_rows restart identity; grant all on public.random_rows to service_role"
    )
    with owner.cursor() as cursor:
        cursor.executemany("insert into public.random_rows (n, w, f) values (%s, %s, %s)", rows)
        cursor.execute(f"select id from public.random_rows where {where} order by id", values)
        expected = [found for (found,) in cursor.fetchall()]
    answer = await rest.get(f"/random_rows?{urlencode([('select', 'id'), ('order', 'id'), *pairs])}")
    assert answer.status_code == 200, answer.text
    assert [row["id"] for row in answer.json()] == expected

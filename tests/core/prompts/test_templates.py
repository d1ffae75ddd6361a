from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.exceptions import SecurityError

from agl_core.errors import ConfigurationError, PlaceholderError
from agl_core.prompts.templates import PromptTemplate, coerce_resources, fingerprint


class TestEscaped:
    HOSTILE = (
        "{name} {{x}} { } {{{ }}} {% raw %} {%endraw%} {{ 7*7 }} {# no #} {{{% {0.__class__} é {"
    )

    @pytest.mark.parametrize("engine", ["f-string", "literal"])
    def test_text_is_rendered_as_it_is(self, engine: Any) -> None:
        plain = PromptTemplate("", engine).escaped(self.HOSTILE)
        assert plain is not None
        prompt = PromptTemplate(f"Hi.\n{plain}\nBye.", engine)
        assert prompt.format(name="!") == f"Hi.\n{self.HOSTILE}\nBye."
        assert prompt.placeholders() == frozenset()

    def test_beside_a_placeholder_it_stays_what_it_is(self) -> None:
        prompt = PromptTemplate("Hi {name}.")
        longer = prompt.with_text(f"{prompt.raw}\n{prompt.escaped(self.HOSTILE)}")
        assert longer.format(name="Ada") == f"Hi Ada.\n{self.HOSTILE}"
        assert longer.placeholders() == {"name"}

    @pytest.mark.parametrize("text", ["{{ x }}", "{% if x %}", "{# x #}"])
    def test_jinja_cannot_hold_its_own_marks(self, text: str) -> None:
        prompt = PromptTemplate("Hi {{ name }}.", "jinja")
        assert prompt.escaped(f"a {text}") is None
        assert prompt.escaped("a {x} % # }} %}") == "a {x} % # }} %}"

    def test_literal_text_with_names_cannot_hold_theirs(self) -> None:
        prompt = PromptTemplate("Hi {name}.", "literal", ["name"])
        assert prompt.escaped("for {name}") is None
        assert prompt.escaped("for {other}") == "for {other}"


class TestFString:
    @pytest.mark.parametrize(
        ("template", "expected"),
        [
            ("Book for {name}.", "Book for Ada."),
            ("{name}{name}", "AdaAda"),
            ("{{name}}", "{name}"),
            ("{{{name}}}", "{Ada}"),
            ("{ name } { {name} }", "{ name } { Ada }"),
            ('{"room": {"id": "A1"}}', '{"room": {"id": "A1"}'),  # }} is a brace
            ('{"room": {"id": "A1"} }', '{"room": {"id": "A1"} }'),
            ("{name", "{name"),
            ("name}", "name}"),
            ("{}", "{}"),
            ("{0}", "{0}"),
            ("{name!r} {name:>10}", "{name!r} {name:>10}"),
            ("{name.__class__} {name[0]}", "{name.__class__} {name[0]}"),
            ("", ""),
        ],
    )
    def test_fills_declared_names_and_nothing_else(self, template: str, expected: str) -> None:
        assert PromptTemplate(template).format(name="Ada", other="unused") == expected

    def test_values_are_data(self) -> None:
        prompt = PromptTemplate("{a} {b}")
        assert prompt.format(a="{b} {{ {b.__class__}", b=1) == "{b} {{ {b.__class__} 1"

    def test_undeclared_names_stay(self) -> None:
        prompt = PromptTemplate("{name} {other}", variables=["name"])
        assert prompt.variables == {"name"}
        assert prompt.placeholders() == {"name", "other"}
        assert prompt.format(name="Ada") == "Ada {other}"

    def test_a_declared_name_that_the_text_lacks_is_not_asked_for(self) -> None:
        assert PromptTemplate("Hello.", variables=["name"]).format() == "Hello."

    def test_a_name_without_a_value_is_an_error_that_names_it(self) -> None:
        with pytest.raises(PlaceholderError, match=r"\{person\}.*values given: name, room"):
            PromptTemplate("{person} in {room}").format(room="A1", name="Ada")

    def test_a_task_may_have_any_key(self) -> None:
        assert PromptTemplate("{self} {values}").format(self=1, values=2) == "1 2"

    @given(st.text(alphabet="{}ab_.[]! \n"))
    def test_any_text_is_a_template_that_renders(self, text: str) -> None:
        prompt = PromptTemplate(text)
        rendered = prompt.render(dict.fromkeys(prompt.variables, "V"))
        if "{" not in text and "}" not in text:
            assert rendered == text


class TestJinja:
    def test_fills_variables(self) -> None:
        prompt = PromptTemplate("{% for r in rooms %}{{ r }},{% endfor %}\n", engine="jinja")
        assert prompt.variables == {"rooms"}
        assert prompt.format(rooms=["a", "b"]) == "a,b,\n"

    def test_what_is_not_given_is_an_error_where_it_is_rendered(self) -> None:
        prompt = PromptTemplate("{{ name | default('you') }}{{ room }}", engine="jinja")
        with pytest.raises(PlaceholderError, match=r"'room' is undefined.*values given: none"):
            prompt.format()
        assert prompt.format(room=1) == "you1"

    @pytest.mark.parametrize("name", ["self", "values"])
    def test_a_task_may_have_any_key(self, name: str) -> None:
        PromptTemplate("{{ x }}", engine="jinja").format(**{name: 1, "x": 2})

    @pytest.mark.parametrize(
        "escape",
        [
            "{{ ''.__class__ }}",
            "{{ ''['__class__'] }}",
            "{{ x|attr('__class__') }}",
            "{{ '{0.__class__}'.format(x) }}",
            "{{ cycler.__init__.__globals__ }}",
            "{{ lipsum.__globals__['os'] }}",
            "{% set y = [].__class__.__base__.__subclasses__() %}{{ y }}",
            "{{ x.append(1) }}",
            "{{ x.clear() }}",
            "{{ range(99999999) }}",
            "{% include '/etc/passwd' %}",
            "{% import 'os' as os %}",
        ],
    )
    def test_no_way_out_of_the_sandbox(self, escape: str) -> None:
        values = [1, 2]
        with pytest.raises((SecurityError, OverflowError, TypeError)):
            PromptTemplate(escape, engine="jinja").format(x=values)
        assert values == [1, 2]

    @pytest.mark.parametrize(
        ("template", "reason"),
        [
            ("{{ name", "line 1"),
            ("\n{% for %}", "line 2"),
            ("{{ x | no_such_filter }}", "no_such_filter"),
            ("{{" + "(" * 5000, "nested too deeply"),
        ],
    )
    def test_what_does_not_parse_is_refused(self, template: str, reason: str) -> None:
        with pytest.raises(ConfigurationError, match=reason):
            PromptTemplate(template, engine="jinja")


def test_a_literal_has_no_placeholders() -> None:
    prompt = PromptTemplate("{name} {{ x }} {% y %}", engine="literal")
    assert prompt.variables == prompt.placeholders() == frozenset()
    assert prompt.format(name="Ada") == "{name} {{ x }} {% y %}"


class TestIdentity:
    def test_equal_by_text_engine_and_variables(self) -> None:
        assert PromptTemplate("{a}") == PromptTemplate("{a}")
        assert hash(PromptTemplate("{a}")) == hash(PromptTemplate("{a}"))
        assert PromptTemplate("{a}") != PromptTemplate("{a}", engine="literal")
        assert PromptTemplate("{a}") != PromptTemplate("{a}", variables=[])
        assert PromptTemplate("{a}") != "{a}"

    @pytest.mark.parametrize(
        "prompt",
        [
            PromptTemplate("{a} {b}", variables=["a", "gone"]),
            PromptTemplate("{{ a }}", engine="jinja"),
            PromptTemplate("{a}", engine="literal"),
        ],
    )
    def test_survives_json_and_pickle(self, prompt: PromptTemplate) -> None:
        assert PromptTemplate.from_json(prompt.to_json()) == prompt
        assert pickle.loads(pickle.dumps(prompt)) == prompt

    def test_another_text_keeps_engine_and_declared_names(self) -> None:
        child = PromptTemplate("{a}", variables=["a"]).with_text("{a} {b}")
        assert child.format(a=1) == "1 {b}"
        assert PromptTemplate("x", engine="jinja").with_text("{{ y }}").variables == {"y"}

    def test_one_name_may_be_given_as_text(self) -> None:
        assert PromptTemplate("{name}", variables="name").variables == {"name"}

    @pytest.mark.parametrize("template", [None, 1, b"text", ["text"]])
    def test_only_text_is_a_template(self, template: str) -> None:
        with pytest.raises(ConfigurationError, match=type(template).__name__):
            PromptTemplate(template)

    def test_an_unknown_engine_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match=r"'mustache'.*f-string, jinja, literal"):
            PromptTemplate("x", engine="mustache")  # pyright: ignore[reportArgumentType]


class TestResources:
    def test_text_becomes_templates(self) -> None:
        prompt = PromptTemplate("b", engine="literal")
        coerced = coerce_resources({"a": "{x}", "b": prompt})
        assert coerced == {"a": PromptTemplate("{x}"), "b": prompt}

    @pytest.mark.parametrize(
        ("resources", "reason"),
        [
            ("You are a bot.", "this is str"),
            ({"": "text"}, "non-empty text"),
            ({1: "text"}, "non-empty text"),
            ({"a": 1}, "'a' is int"),
        ],
    )
    def test_anything_else_is_refused(self, resources: Any, reason: str) -> None:
        with pytest.raises(ConfigurationError, match=reason):
            coerce_resources(resources)

    def test_a_fingerprint_depends_on_content_alone(self) -> None:
        one = {"a": PromptTemplate("x"), "b": PromptTemplate("y")}
        assert fingerprint(one) == fingerprint(dict(reversed(one.items())))
        others = [
            {"a": PromptTemplate("y"), "b": PromptTemplate("x")},
            {"a": PromptTemplate("x")},
            {"ax": PromptTemplate(""), "b": PromptTemplate("y")},
            {"a": PromptTemplate("x", engine="literal"), "b": PromptTemplate("y")},
            {"a": PromptTemplate("x", variables=["v"]), "b": PromptTemplate("y")},
            {"a": PromptTemplate("\ud800"), "b": PromptTemplate("y")},
        ]
        assert len({fingerprint(one), *map(fingerprint, others)}) == 1 + len(others)

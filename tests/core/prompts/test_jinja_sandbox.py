from __future__ import annotations

import time
import tracemalloc
from typing import Any

import pytest
from jinja2.exceptions import SecurityError

from agl_core.errors import ConfigurationError
from agl_core.prompts.jinja_sandbox import TemplateLimitError, code_of
from agl_core.prompts.templates import PromptTemplate

BOMBS = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
    "{{ 'x' * 10**10 }}",
    "{{ 10**10 * 'x' }}",
    "{{ [1] * 10**9 }}",
    "{{ 9 ** (9 ** 9) }}",
    "{% set n = namespace(x='a') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "{% set n = namespace(x='a') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "{% set ns = namespace(x=3) %}{% for i in range(60) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
    "{% set ns = namespace(x='a') %}{% for i in range(60) %}"
    "{% set ns.x = ns.x|replace('a', 'aa') %}{% endfor %}",
    "{% set ns = namespace(x='a') %}{% for i in range(60) %}"
    "{% set ns.x = ns.x.replace('a', 'aa') %}{% endfor %}",
    "{% set x = 'a' * 999999 %}{{ x|replace('a', x) }}",
    "{% set x = 'a' * 999999 %}{{ x.replace('a', x) }}",
    "{% set x = 'a' * 999999 %}{{ [x, x, x]|join(x) }}",
    "{% set x = 'a' * 999999 %}{{ x.join([x, x, x]) }}",
    "{% set x = 'a' * 999999 %}{% for i in range(9999) %}{{ x }}{% endfor %}",
    "{{ 'a'|center(10**9) }}",
    "{{ 'a'.center(10**9) }}",
    "{{ 'a'.zfill(10**9) }}",
    "{{ 'a\nb'|indent(10**9) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%*d' % (10**9, 1) }}",
    "{{ '%1000000000d'|format(1) }}",
    "{{ '{:>1000000000}'.format(1) }}",
    "{{ lipsum(n=10**9) }}",
    "{{ '{:>{w}}'.format(1, w=10**9) }}",
]


@pytest.mark.parametrize("text", BOMBS)
def test_a_template_that_goes_on_for_ever_is_ended(text: str) -> None:
    tracemalloc.start()
    start = time.process_time()
    with pytest.raises(ConfigurationError, match="the prompt's template"):
        PromptTemplate(text, "jinja").format()
    assert time.process_time() - start < 20  # not a measurement: for ever is longer
    assert tracemalloc.get_traced_memory()[1] < 100_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ x.__init__.__globals__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ '{0.__class__}'.format(x) }}",
        "{{ x|attr('__class__') }}",
        "{{ (x ~ '')|attr('__class__') }}",
        "{{ count_step.__globals__ }}",
    ],
)
def test_no_template_gets_out(text: str) -> None:
    with pytest.raises((SecurityError, ConfigurationError)):
        PromptTemplate(text, "jinja").format(x="x")


def test_a_template_cannot_change_what_it_is_given() -> None:
    with pytest.raises(SecurityError):
        PromptTemplate("{{ x.append(1) }}", "jinja").format(x=[1])


def test_honest_templates_are_rendered_as_ever() -> None:
    values: dict[str, Any] = {"name": "Ann", "items": [{"n": 1}, {"n": 22}], "price": 7.5}
    text = (
        "{# note #}Hi {{ name|upper ~ '!' }}{% for i in items %} {{ loop.index }}:{{ i.n * 2 }}"
        "{% endfor %} {{ items|map(attribute='n')|join(', ') }} {{ '%05.2f' % price }} "
        "{{ '{:>4}'.format(name) }} {{ [name, 'b']|join('-') }} {{ 'a' + name }} {{ 2 ** 10 }} "
        "{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(name) }} {{ name|center(7) }}|"
        "{% if price > 50000 %}dear{% else %}{{ 50000|string }}{% endif %}\n"
    )
    assert PromptTemplate(text, "jinja").format(**values) == (
        "Hi ANN! 1:2 2:44 1, 22 07.50  Ann Ann-b aAnn 1024 <Ann>   Ann  |50000\n"
    )


def test_one_rendering_does_not_use_up_the_steps_of_the_next() -> None:
    template = PromptTemplate("{% for i in range(60000) %}{% endfor %}done", "jinja")
    assert [template.format(), template.format()] == ["done", "done"]


def test_code_is_what_is_not_text() -> None:
    code = code_of("a {{ x }} {{x}} {%- for i in  y %}{{ i }}{% endfor %} {# {{ z }} #}")
    assert code == {"{{ x": 2, "{% for i in y": 1, "{{ i": 1, "{% endfor": 1}
    assert not code_of("{ a } {% raw %}{{ x }}{% endraw %}") - code_of("{% raw %}{% endraw %}")


def test_the_error_is_the_prompts_own() -> None:
    assert issubclass(TemplateLimitError, ConfigurationError)

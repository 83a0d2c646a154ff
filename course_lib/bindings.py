"""When the names of a notebook got their values: what was trained before the code was changed says nothing about the code."""

import inspect
import types


class Bindings:
    """Watches a namespace: `note` it after each cell."""

    def __init__(self):
        self._now, self._values, self._given = 0, {}, {}

    def note(self, namespace):
        """A name whose value is another one than last time got it just now."""
        self._now += 1
        for name, value in namespace.items():
            if name not in self._values or self._values[name] is not value:
                self._given[name] = self._now
        self._values = dict(namespace)

    def is_newer(self, name, functions):
        """Whether `name` got its value no earlier than these functions (names) did, and the functions and classes that they use."""
        return all(self._given[each] <= self._given[name] for each in self._used_by(functions))

    def _used_by(self, functions):
        pending, found = list(functions), set()
        while pending:
            name = pending.pop()
            value = self._values.get(name)
            if name not in found and isinstance(value, (type, types.FunctionType)):
                found.add(name)
                written = vars(value).values() if isinstance(value, type) else [value]
                pending += [used for each in written if isinstance(each, types.FunctionType)
                            for used in names_in(inspect.unwrap(each).__code__)]
        return found


def names_in(code):
    """Global names a function uses, in itself and in what is defined within it."""
    return {*code.co_names}.union(*(names_in(const) for const in code.co_consts if isinstance(const, types.CodeType)))

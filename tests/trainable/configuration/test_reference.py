"""A user's own object by reference: found from the working folder or by its file, recorded, and found again."""

import importlib
import itertools
import pickle
import sys
from dataclasses import asdict, replace

import pytest

from trainable.configuration.fields import convert
from trainable.configuration.reference import Reference, activate, find, is_reference, load
from trainable.tasks.registry import get_task

numbers = itertools.count()


@pytest.fixture
def name(monkeypatch):
    """A module name that no other test has imported, and a path that is restored."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    return f"own_module_{next(numbers)}"


@pytest.fixture
def file(tmp_path, name):
    file = tmp_path / "project" / f"{name}.py"
    file.parent.mkdir()
    file.write_text("class Net:\n    width = 8\n\nNET = Net()\n")
    return file


def loaded(given, kind=object):
    return load(find(given).text, kind)


def test_an_object_of_a_file_is_loaded_and_pickled_by_its_module(file, name):
    net = loaded(f"{file}:NET")
    assert net.width == 8
    assert type(net).__module__ == name
    assert type(pickle.loads(pickle.dumps(net))) is type(net) is loaded(f"{file}:Net")


def test_a_module_in_the_working_folder_is_found_without_being_installed(file, name, monkeypatch):
    monkeypatch.chdir(file.parent)
    assert find(f"{name}:NET") == find(f"{file}:NET")
    assert loaded(f"{name}:NET").width == 8


@pytest.mark.parametrize("given", ["{folder}/{name}.py", "../project/{name}.py", "~/{name}.py", "{folder}/{name}"])
def test_a_path_is_absolute_or_relative_or_of_the_home_folder_and_is_recorded_as_one(
    file, name, given, monkeypatch, tmp_path
):
    (file.parent / "sizes.py").write_text("WIDTH = 8\n")
    file.write_text("import sizes\n\nNET = sizes.WIDTH\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("HOME", str(file.parent))
    recorded = find(f"{given.format(folder=file.parent, name=name)}:NET")
    assert (recorded.text, recorded.folder, recorded.file) == (f"{name}:NET", str(file.parent), str(file))
    assert [one.path for one in recorded.imports] == [str(file.parent / "sizes.py")]


def test_a_file_that_was_not_found_before_is_when_it_is_loaded(file):
    assert load(f"{file}:NET").width == 8


def test_a_link_to_a_project_is_recorded_as_it_was_given(file, name, tmp_path):
    (tmp_path / "link").symlink_to(file.parent)
    assert find(f"{tmp_path}/link/{name}.py:NET").folder == str(tmp_path / "link")


def test_a_module_of_a_package_has_the_folder_above_the_package(tmp_path, name, monkeypatch):
    package = tmp_path / name
    package.mkdir()
    (package / "__init__.py").write_text("WIDTH = 3\n")
    (package / "nets.py").write_text("WIDTH = 4\n")
    monkeypatch.chdir(tmp_path)
    assert (loaded(f"{name}:WIDTH"), loaded(f"{name}.nets:WIDTH")) == (3, 4)
    assert find(f"{name}:WIDTH").folder == find(f"{name}.nets:WIDTH").folder == str(tmp_path)


def test_what_was_recorded_is_found_from_any_folder_by_its_text_alone(file, name, monkeypatch, tmp_path):
    recorded = find(f"{file}:NET")
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != recorded.folder])
    monkeypatch.chdir(tmp_path)
    importlib.invalidate_caches()
    with pytest.raises(ValueError, match=f"{name}:NET is not found: no module {name} in "):
        load(recorded.text)
    activate([recorded])
    assert load(recorded.text).width == 8


def test_a_file_that_has_changed_or_gone_is_a_sentence_with_both_ways_out(file):
    recorded = find(f"{file}:NET")
    file.write_text("NET = 2\n")
    with pytest.raises(ValueError, match=r"\.py, which holds .*:NET, has changed since; restore it, or start over"):
        activate([recorded])
    file.unlink()
    with pytest.raises(ValueError, match=r"\.py, which holds .*:NET, is missing on .*; restore it, or start"):
        activate([recorded])


@pytest.fixture
def project(tmp_path, name, monkeypatch):
    """A package with a module that imports two others of it, one through the other, and none of a third."""
    package = tmp_path / name
    (package / "parts").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "nets.py").write_text("import torch\n\nfrom .parts import layers\n\nNET = layers.WIDTH\n")
    (package / "parts" / "__init__.py").write_text("")
    (package / "parts" / "layers.py").write_text(f"def width():\n    from {name} import sizes\n\nWIDTH = 4\n")
    (package / "sizes.py").write_text("WIDTH = 4\n")
    (package / "notes.py").write_text("")
    monkeypatch.chdir(tmp_path)
    return package


def test_the_files_that_a_reference_imports_from_its_project_are_recorded(project, name):
    imported = find(f"{name}.nets:NET").imports
    expected = ["__init__.py", "parts/__init__.py", "parts/layers.py", "sizes.py"]
    assert [one.path for one in imported] == [str(project / file) for file in expected]


def test_a_changed_or_missing_file_that_it_imports_is_named(project, name):
    recorded = find(f"{name}.nets:NET")
    (project / "notes.py").write_text("# not imported\n")
    activate([recorded])
    (project / "sizes.py").write_text("WIDTH = 5\n")
    with pytest.raises(ValueError, match=rf"sizes\.py, which {name}\.nets:NET imports, has changed since; restore it"):
        activate([recorded])
    (project / "sizes.py").unlink()
    with pytest.raises(ValueError, match=rf"sizes\.py, which {name}\.nets:NET imports, is missing on .*; restore it"):
        activate([recorded])


def test_what_an_older_version_recorded_is_read(file):
    recorded = asdict(find(f"{file}:NET"))
    del recorded["imports"]
    assert convert([recorded], tuple[Reference, ...], "references") == (replace(find(f"{file}:NET"), imports=None),)


def test_neither_installed_packages_nor_ours_are_followed(file):
    file.write_text("import optuna\nimport numpy.linalg\nfrom trainable.models import output\nNET = 1\n")
    assert find(f"{file}:NET").imports == ()
    assert find("trainable.tasks.moe:MoeTask").imports == find("optuna:Trial").imports == ()


def test_modules_that_import_each_other_are_recorded_once(file, name):
    file.write_text(f"import {name}_b\nNET = 1\n")
    other = file.with_name(f"{name}_b.py")
    other.write_text(f"import {name}\n")
    assert [one.path for one in find(f"{file}:NET").imports] == [str(other)]


def test_an_installed_module_is_not_replaced_by_a_file_of_its_name(tmp_path, name):
    (tmp_path / "tuner.py").write_text("SPACE = 1\n")
    with pytest.raises(ValueError, match=r"tuner.py has the name of another module, .*; rename the file"):
        find(f"{tmp_path / 'tuner.py'}:SPACE")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("spaces.py", "'spaces.py' is not a reference; give module:NAME or path/to/file.py:NAME"),
        ("spaces.py:", "is not a reference"),
        ("spaces:a-b", "is not a reference"),
        ("gone.py:SPACE", "'gone.py:SPACE' names the file gone.py, which does not exist; looked for /.*/gone.py"),
        ("/no/such/gone:SPACE", "'/no/such/gone:SPACE' names the file /no/such/gone, which does not exist"),
        ("no_such_module:SPACE", "names the module no_such_module, which is neither installed nor in"),
        ("no_such.module:SPACE", "names the module no_such.module, which is neither installed nor in"),
    ],
)
def test_what_is_not_found_is_a_sentence(name, text, sentence):
    with pytest.raises(ValueError, match=sentence):
        find(text)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("NET =\n", r"cannot be imported: .*\.py, line 1: SyntaxError"),
        ("x = 1\nNET = 1 / 0\n", r"cannot be imported: .*\.py, line 2: ZeroDivisionError: division by zero"),
        ("import no_such_library\n", r"cannot be imported: .*\.py, line 1: ModuleNotFoundError: No module named"),
        ("import sys\nsys.exit(3)\n", r"cannot be imported: .*\.py, line 2: the file ends the process"),
        (
            "from search_spaces.ranges import Range\n\nNET = Range(low=2, high=1)\n",
            r"cannot be imported: .*\.py, line 3: (?!ValueError)",
        ),
        ("NETS = 1\n", r"has no NET; did you mean NETS\?"),
        ("", r"has no NET; it has nothing"),
        ("NET = 5\n", r":NET is of type int; it must be a str or float"),
    ],
)
def test_a_module_that_cannot_be_used_is_reported_by_file_and_line(file, source, sentence):
    file.write_text(source)
    with pytest.raises(ValueError, match=sentence):
        loaded(f"{file}:NET", (str, float))


def test_a_name_with_a_colon_is_a_reference():
    assert (is_reference("spaces.py:SPACE"), is_reference("moe")) == (True, False)


def test_a_workload_of_the_users_is_the_task_of_its_reference(file):
    file.write_text("from trainable.tasks.moe import MoeTask\n\n\nclass Mine(MoeTask):\n    name = 'mine'\n")
    assert get_task(find(f"{file}:Mine").text).name == "mine"


def test_a_class_that_is_no_task_is_reported(file):
    with pytest.raises(ValueError, match=r":Net is the class Net; it must derive from trainable\.tasks\.task\.Task"):
        get_task(find(f"{file}:Net").text)

"""The settings as people read them."""

from dataclasses import replace

from trainable.configuration.reference import Reference, SourceFile
from tuner.results.report_text import settings_rows


def test_the_network_and_what_it_starts_from_are_among_them(synthetic_search):
    model = {"backbone": "timm:mobilenet", "weights": "package:mobilenet", "freeze_batch_norm": True}
    rows = dict(settings_rows(synthetic_search(base_config={"max_epochs": 12, "model": model}).recorder.record))
    assert rows["network"] == "timm:mobilenet"
    assert rows["starts from"] == "package:mobilenet with the statistics of BatchNorm frozen"


def test_own_code_is_named_with_its_file_and_the_files_that_it_imports(synthetic_search):
    helper = SourceFile(path="/home/ada/net/layers.py", sha256="b" * 64)
    code = Reference(text="nets:Net", folder="/home/ada/net", file="/home/ada/net/nets.py", sha256="a" * 64)
    references = (code, replace(code, text="space:SPACE", file="/home/ada/net/space.py", imports=(helper,)))
    rows = dict(settings_rows(synthetic_search(references=references).recorder.record))
    assert rows["own code, first 16 digits of its sha256"] == (
        "nets:Net in /home/ada/net/nets.py aaaaaaaaaaaaaaaa, "
        "space:SPACE in /home/ada/net/space.py aaaaaaaaaaaaaaaa, with layers.py bbbbbbbbbbbbbbbb"
    )


def test_they_are_in_words_and_a_time_is_minutes_and_seconds(synthetic_search):
    changes = {"stated_seconds": 1200.0, "duration_seconds": 1015.9978, "reduction_factor": 2}
    search = synthetic_search(**changes, pinned={"max_lr": 1e-3}).recorder.record
    rows = dict(settings_rows(search))
    assert rows["time stated with --for"] == "20:00"
    assert rows["time for search and confirmation when it started"] == "16:56"
    assert rows["a rung keeps"] == "1 in 2"
    assert rows["fixed by --set"] == "max_lr 0.001"

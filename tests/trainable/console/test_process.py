import logging
import sys

from trainable.console.process import log_to


def test_errors_go_to_standard_error_and_all_else_where_it_is_wanted(loggers_of_a_new_process, capsys):
    with loggers_of_a_new_process():
        log_to(sys.stdout)
        logger = logging.getLogger("trainable.train")
        logger.info("epoch %d", 1)
        logger.warning("caution")
        logger.error("error: \x1b[2J")
    assert capsys.readouterr() == ("epoch 1\ncaution\n", "error: \\x1b[2J\n")

"""A new home: its folders and a commented config.yaml, made once and never overwritten."""

from secdaemon.config.files import write_file
from secdaemon.config.paths import Home
from secdaemon.config.settings import ConfigError, template_text


def init_home(home: Home) -> bool:
    """Make the home's folders and, where there is none, its config.yaml.

    Returns:
        Whether config.yaml was written; False where one stood already, which stays as it is.

    Raises:
        ConfigError: the home cannot be made or written.
    """
    try:
        home.make()
        # A link to nowhere is a choice of its owner too: a rename would replace it.
        if home.config_file.exists() or home.config_file.is_symlink():
            return False
        write_file(home.config_file, template_text())
    except OSError as error:
        reason = error.strerror or str(error)
        msg = f"the home {home.root} cannot be written ({reason}): choose another with --home"
        raise ConfigError(msg) from error
    return True

"""spine --check: what it says about a site in which all is well."""


def test_the_check_of_a_site_says_which_cacti_it_is(site, plain_poller):
    run = plain_poller.run_as([plain_poller.binary.path, "-C", plain_poller.conf, "--check"])
    assert run.status == 1, run
    assert "OK    Cacti              " in run.stdout, run

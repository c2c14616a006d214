"""The lab: private servers, simulated devices and the poller under test, for tests and the demo."""

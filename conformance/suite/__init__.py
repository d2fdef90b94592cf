"""The pytest side: the plugin, and the one test that runs a case on an implementation."""

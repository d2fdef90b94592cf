"""The layers of the recipes, one file for each library; what they import, they import when called."""

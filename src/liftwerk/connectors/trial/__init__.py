"""A trial's result file with any column names, understood well enough to propose a project for it.

`look` reads the file as the importer will, `roles` says what each column is, `shares` with which
probabilities the arms were drawn, `text` writes the project file. All of it is a proposal: what a
file cannot say is asked.
"""

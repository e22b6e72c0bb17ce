"""The site: pages of suites, tasks, methods and claims, and a reference, made from the tables, records and docs/.

`python -m bench.website FOLDER` writes the pages as the site generator reads them, without the network and without
training. `make docs` then builds the site.
"""

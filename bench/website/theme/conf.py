"""How Sphinx builds the site. `python -m bench.website` copies this beside the pages."""

project = "Myriad benchmark"
html_title = "Myriad benchmark"
extensions = ["myst_parser"]
myst_heading_anchors = 4
myst_enable_extensions = ["html_image"]
suppress_warnings = ["myst.header"]  # a docstring may begin below the second level
html_theme = "furo"
html_static_path = ["_static"]
html_extra_path = ["_extra"]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
templates_path = []
exclude_patterns = ["_extra"]

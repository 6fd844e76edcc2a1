"""The rules of the house, held over every route, table, template, setting and text there is."""

"""What every page, figure and table of the project is made with."""

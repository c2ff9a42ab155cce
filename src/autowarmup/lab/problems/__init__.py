"""The objects of paper B (arXiv 2510.03164): small trainings whose curvature is measured."""

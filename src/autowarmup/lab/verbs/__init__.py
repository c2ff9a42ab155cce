"""The verbs of the command line, a file each: `autowarmup VERB --help` lists the options."""

"""A batch job on the disk: inputs, output, index, spool, and the process that writes."""

"""The service of the embedded model, which speaks the protocol of the hosted one."""

"""The architectures of Keras's pretrained models, as layers without a framework."""

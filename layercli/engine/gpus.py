"""The names of the GPUs that TensorFlow can use."""

from __future__ import annotations

import tensorflow as tf


def list_gpu_names() -> list[str]:
    """Return the product name of each GPU, such as NVIDIA A100-SXM4-40GB."""
    devices = tf.config.list_physical_devices("GPU")
    return [
        str(tf.config.experimental.get_device_details(device).get("device_name", "GPU")) for device in devices
    ]

"""Which pod holds which board: asked of the kubelet, over its PodResources socket.

In: the kubelet's answers, and traces of pods on the host. Out: rows of `jobs`, events.
"""

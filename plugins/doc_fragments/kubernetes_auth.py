# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the connection options in ``module_utils/_arguments.py`` (``KUBERNETES_SPEC``)."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment ``llmops.platform.kubernetes_auth``."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of a kubeconfig file.
      - If the value is not specified, the environment variable E(K8S_AUTH_KUBECONFIG) is used, then
        E(KUBECONFIG), then C(~/.kube/config). Where there is none of them, and inside a pod, the service
        account of the pod is used.
    type: path
  context:
    description:
      - Name of a context of the kubeconfig; its current context by default.
      - If the value is not specified, the environment variable E(K8S_AUTH_CONTEXT) is used.
    type: str
  host:
    description:
      - URL of the API server. It replaces that of O(kubeconfig); if that is not given, no kubeconfig is read.
      - If the value is not specified, the environment variable E(K8S_AUTH_HOST) is used.
    type: str
  api_key:
    description:
      - Bearer token.
      - If the value is not specified, the environment variable E(K8S_AUTH_API_KEY) is used.
    type: str
  ca_cert:
    description:
      - Path of the certificate authority that signed the API server's certificate.
      - If the value is not specified, the environment variable E(K8S_AUTH_SSL_CA_CERT) is used.
    type: path
    aliases: [ssl_ca_cert]
  client_cert:
    description:
      - Path of a client certificate.
      - If the value is not specified, the environment variable E(K8S_AUTH_CERT_FILE) is used.
    aliases: [cert_file]
    type: path
  client_key:
    description:
      - Path of the key of O(client_cert).
      - If the value is not specified, the environment variable E(K8S_AUTH_KEY_FILE) is used.
    aliases: [key_file]
    type: path
  validate_certs:
    description:
      - Whether to check the API server's certificate. Leave it on.
      - If the value is not specified, the environment variable E(K8S_AUTH_VERIFY_SSL) is used.
    aliases: [verify_ssl]
    type: bool
    default: true
requirements:
  - kubernetes >= 29.0.0
"""

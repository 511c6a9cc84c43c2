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
  proxy:
    description:
      - URL of an HTTP proxy on the way to the API server. It replaces C(proxy-url) of O(kubeconfig). It may
        hold a user name and a password for the proxy, percent-encoded.
      - If the value is not specified, the environment variable E(K8S_AUTH_PROXY) is used. Where neither it
        nor the kubeconfig names a proxy, E(HTTPS_PROXY) and E(NO_PROXY) count, as for C(kubectl).
    type: str
  no_proxy:
    description:
      - Hosts, domains, addresses and networks, separated by commas, to which no proxy leads, whoever names
        it. For example V(localhost,.example.com,10.0.0.0/8).
      - If the value is not specified, the environment variable E(K8S_AUTH_NO_PROXY) is used.
    type: str
  impersonate_user:
    description:
      - Name of the user to act as. Whoever connects needs the right to impersonate.
      - If the value is not specified, the environment variable E(K8S_AUTH_IMPERSONATE_USER) is used.
    type: str
  impersonate_groups:
    description:
      - Groups to act as a member of, together with O(impersonate_user).
      - If the value is not specified, the environment variable E(K8S_AUTH_IMPERSONATE_GROUPS) is used, with
        commas between the groups.
    type: list
    elements: str
requirements:
  - kubernetes >= 29.0.0
"""

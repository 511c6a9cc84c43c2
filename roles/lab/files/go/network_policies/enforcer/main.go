// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Judges the first packet of each connection by the cluster's NetworkPolicies: the controller of
// sigs.k8s.io/kube-network-policies with a kubeconfig, since its own program runs only inside of a cluster.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"os/signal"
	"syscall"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
)

// Set by the linker.
var version string

func main() {
	log.Printf("kube-network-policies %s", version)
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	queue := flag.Int("queue", 0, "number of the netfilter queue")
	flag.Parse()
	if err := run(*kubeconfig, *queue); err != nil {
		log.Fatal(err)
	}
}

func run(kubeconfig string, queue int) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	// Not JSON: it tells an empty list of rules from none, and the evaluator lets everything pass for an empty one.
	config.ContentType = "application/vnd.kubernetes.protobuf"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	factory := informers.NewSharedInformerFactory(client, 0)
	controller, err := networkpolicy.NewController(
		client,
		factory.Networking().V1().NetworkPolicies(),
		factory.Core().V1().Namespaces(),
		factory.Core().V1().Pods(),
		nil, nil, nil, nil, // for AdminNetworkPolicies, which the lab has not
		networkpolicy.Config{
			QueueID: queue,
			// The lab's own rules fill the queue. Those of the controller need a kernel with queues in nftables;
			// of a node without pods it makes some that match nothing, once, and does without where they fail.
			NodeName:    "none",
			NFTableName: "llmops-lab",
		},
	)
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if err := controller.Run(ctx); err != nil {
		return err
	}
	if ctx.Err() == nil {
		return errors.New("it ended by itself")
	}
	return nil
}

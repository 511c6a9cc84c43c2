// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Tells the lab's Prometheus what the cluster's ServiceMonitors, PodMonitors and PrometheusRules say, in the place of
// the prometheus-operator, whose own generator takes four minutes to compile. Debian's Prometheus is built without
// discovery through Kubernetes, so that of the Prometheus project runs here, and its targets go into files.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// What comes together is published together.
	calm = 100 * time.Millisecond
	// How soon a reload that failed is tried again.
	retry = time.Second
)

// Set by the linker: that of the discovery.
var version string

type options struct {
	kubeconfig string
	folder     string
	prometheus string
	promtool   string
	health     string
}

func main() {
	log.Printf("discovery of Prometheus %s", version)
	var given options
	flag.StringVar(&given.kubeconfig, "kubeconfig", "", "how to reach the API server")
	flag.StringVar(&given.folder, "folder", "", "where configuration, rules and targets go")
	flag.StringVar(&given.prometheus, "prometheus", "", "URL of the Prometheus to reload")
	flag.StringVar(&given.promtool, "promtool", "promtool", "the program that judges monitors and rules")
	flag.StringVar(&given.health, "health", "127.0.0.1:0", "where /healthz is served")
	flag.Parse()
	if err := run(given); err != nil {
		log.Fatal(err)
	}
}

func run(given options) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	config, err := clientcmd.BuildConfigFromFlags("", given.kubeconfig)
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	changed := make(chan struct{}, 1)
	notify := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	objects := watch(ctx, client, notify)
	targets, err := discover(ctx, given.kubeconfig, notify)
	if err != nil {
		return err
	}
	published, err := newPublisher(given)
	if err != nil {
		return err
	}
	go serveHealth(given.health, published, stop)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			time.Sleep(calm)
		case <-time.After(retry):
		}
		published.publish(objects(), targets.files())
	}
}

// objects are the specifications of all namespaces, by "namespace/name".
type objects struct {
	serviceMonitors map[string][]byte
	podMonitors     map[string][]byte
	rules           map[string][]byte
}

// watch returns a function that says what the API server holds, once all of it has been read.
func watch(ctx context.Context, client dynamic.Interface, notify func()) func() objects {
	factory := dynamicinformer.NewDynamicSharedInformerFactory(client, 0)
	informer := func(resource string) cache.SharedIndexInformer {
		kind := schema.GroupVersionResource{Group: "monitoring.coreos.com", Version: "v1", Resource: resource}
		found := factory.ForResource(kind).Informer()
		_, _ = found.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { notify() },
			UpdateFunc: func(any, any) { notify() },
			DeleteFunc: func(any) { notify() },
		})
		return found
	}
	services, pods, rules := informer("servicemonitors"), informer("podmonitors"), informer("prometheusrules")
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	return func() objects {
		return objects{specifications(services), specifications(pods), specifications(rules)}
	}
}

func specifications(informer cache.SharedIndexInformer) map[string][]byte {
	found := map[string][]byte{}
	for _, object := range informer.GetStore().List() {
		item := object.(*unstructured.Unstructured)
		if spec, ok := item.Object["spec"].(map[string]any); ok {
			found[item.GetNamespace()+"/"+item.GetName()] = encode(spec)
		}
	}
	return found
}

func serveHealth(address string, published *publisher, stop func()) {
	http.HandleFunc("/healthz", func(answer http.ResponseWriter, _ *http.Request) {
		if problem := published.problem(); problem != "" {
			http.Error(answer, problem, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(answer, "ok")
	})
	log.Print(http.ListenAndServe(address, nil))
	stop()
}

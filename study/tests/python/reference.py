"""Compares what the study found with scikit-learn and SciPy on the same data: reference.py WHAT FILE.json"""

import json
import sys
import time

import numpy as np


def kmeans(found):
    from sklearn.cluster import KMeans

    values = np.array(found["values"], dtype=np.float32)
    for k, inertia in enumerate(found["inertia"], start=1):
        theirs = KMeans(k, n_init=10, random_state=0).fit(values).inertia_
        print(f"kmeans {k}: {inertia:.6g} against {theirs:.6g}")
        assert inertia <= theirs * 1.01, k


def linkage(found):
    from scipy.cluster.hierarchy import fcluster
    from scipy.cluster.hierarchy import linkage as merge

    values = np.array(found["values"], dtype=np.float32).astype(float)
    for method, ours in found["methods"].items():
        theirs = merge(values, method)
        heights = np.array(ours["heights"])
        print(f"linkage {method}: largest difference {np.abs(heights - theirs[:, 2]).max():.2g}")
        np.testing.assert_allclose(heights, theirs[:, 2], rtol=0, atol=1e-6)
        assert ours["sizes"] == theirs[:, 3].astype(int).tolist(), method
        for k, groups in ours["cuts"].items():
            cut = fcluster(theirs, int(k), "maxclust")
            pairs = set(zip(groups, cut.tolist()))
            assert len(pairs) == len(set(groups)) == len(set(cut.tolist())) == int(k), (method, k)


def report(found):
    from sklearn.metrics import classification_report, confusion_matrix

    for ours in found:
        names, right, given = ours["classes"], ours["right"], ours["given"]
        labels = range(len(names))
        keys = {"labels": labels, "target_names": names, "zero_division": 0}
        theirs = classification_report(right, given, output_dict=True, **keys)
        assert confusion_matrix(right, given, labels=labels).tolist() == ours["confusion"]
        assert (np.array(ours["confusion"]) != np.array(ours["confusion"]).T).any(), "the table must not be symmetric"
        rows = dict(zip(names, ours["of"])) | {"macro avg": ours["macro_mean"], "weighted avg": ours["weighted_mean"]}
        for name, figures in rows.items():
            for mine, key in [("precision", "precision"), ("recall", "recall"), ("f1", "f1-score"), ("support", "support")]:
                np.testing.assert_allclose(figures[mine], theirs[name][key], rtol=1e-14, atol=0, err_msg=f"{name} {key}")
        np.testing.assert_allclose(ours["accuracy"], theirs["accuracy"], rtol=1e-15)
        for digits in (2, 4):
            text = classification_report(right, given, digits=digits, **keys)
            assert text == ours["text"][str(digits)], text + ours["text"][str(digits)]


def agreement(found):
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    for ours in found:
        theirs = adjusted_rand_score(ours["labels"], ours["groups"]), normalized_mutual_info_score(ours["labels"], ours["groups"])
        np.testing.assert_allclose([ours["adjusted_rand"], ours["normalised_mutual_information"]], theirs, rtol=0, atol=1e-12)


def tsne(found):
    from sklearn.manifold import TSNE, trustworthiness
    from sklearn.manifold._t_sne import _joint_probabilities_nn
    from sklearn.neighbors import NearestNeighbors

    values = np.array(found["values"], dtype=np.float32)
    perplexity = found["perplexity"]
    begun = time.perf_counter()
    theirs = TSNE(perplexity=perplexity, random_state=0, n_jobs=2).fit(values)
    seconds = time.perf_counter() - begun

    near = NearestNeighbors(n_neighbors=int(3 * perplexity + 1)).fit(values).kneighbors_graph(mode="distance")
    near.data **= 2
    joint = _joint_probabilities_nn(near, perplexity, 0).tocoo()

    def divergence(points):
        points = np.asarray(points, dtype=float)
        weights = 1 / (1 + ((points[:, None] - points[None]) ** 2).sum(-1))
        np.fill_diagonal(weights, 0)
        share = weights[joint.row, joint.col] / weights.sum()
        return (joint.data * np.log(joint.data / share))[joint.data > 0].sum()

    mine, other = divergence(found["points"]), divergence(theirs.embedding_)
    trust = [trustworthiness(values, np.array(p, dtype=float), n_neighbors=15) for p in (found["points"], theirs.embedding_)]
    print(f"tsne: divergence {mine:.4f} against {other:.4f}, trustworthiness {trust[0]:.4f} against {trust[1]:.4f}")
    print(f"tsne: {found['seconds']:.2f} s against {seconds:.2f} s")
    np.testing.assert_allclose(found["kl_divergence"], mine, rtol=1e-3)
    assert mine <= other * 1.05
    assert trust[0] >= trust[1] - 0.01
    if found["timed"]:
        assert seconds >= 3 * found["seconds"]


def forest(found):
    from sklearn.ensemble import RandomForestClassifier

    values, right = np.array(found["values"], dtype=np.float32), np.array(found["class"])
    half = len(right) // 2
    scores = [
        RandomForestClassifier(random_state=seed, n_jobs=2).fit(values[:half], right[:half]).score(values[half:], right[half:])
        for seed in range(len(found["accuracy"]))
    ]
    ours, theirs = np.mean(found["accuracy"]), np.mean(scores)
    print(f"forest: accuracy {found['accuracy']} against {scores}")
    # The spread of one forest, seed by seed, and that of the test rows, which both share.
    spread = np.hypot(np.std(scores, ddof=1), np.std(found["accuracy"], ddof=1))
    assert abs(ours - theirs) <= max(3 * spread / np.sqrt(len(scores)), 0.005)


with open(sys.argv[2]) as file:
    {"kmeans": kmeans, "linkage": linkage, "report": report, "agreement": agreement, "tsne": tsne, "forest": forest}[sys.argv[1]](
        json.load(file)
    )

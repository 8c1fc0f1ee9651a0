// The worker runs package proofs. It is handed files and answers; it asks nobody.
"use strict";

async function start({ url, bytes }) {
  const go = new Go();
  const { instance } = url
    ? await WebAssembly.instantiateStreaming(fetch(url), go.importObject)
    : await WebAssembly.instantiate(bytes, go.importObject);
  go.run(instance).then(() => postMessage({ failed: "the verifier has ended" }), (e) => postMessage({ failed: String(e) }));
  postMessage({ ready: true });
}

onmessage = async ({ data }) => {
  try {
    if (data.start) {
      await start(data.start);
    } else if (data.identify) {
      postMessage({ id: data.id, kinds: data.identify.map((f) => munimentIdentify([f])) });
    } else {
      let told = 0;
      const progress = (done) => {
        const now = performance.now();
        if (now - told > 50) {
          told = now;
          postMessage({ id: data.id, done });
        }
      };
      postMessage({ id: data.id, answer: JSON.parse(munimentExamine(JSON.stringify(data.question), data.files, progress)) });
    }
  } catch (e) {
    postMessage({ failed: String(e) });
  }
};

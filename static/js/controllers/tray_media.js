// What a tray item shows: a picture, the first frame of a video, or a voice to listen to.

import { copyOf, on } from "#lib/dom";
import { kindOf } from "#lib/text";
import { fillVoice } from "#models/media_view";

const FIRST_FRAME = "#t=0.05"; // some browsers show none at 0

const SHOW = {
  picture(element, item, measured) {
    const image = element.querySelector("img");
    image.onload = () => measured({ width: image.naturalWidth, height: image.naturalHeight });
    if (item.url) image.src = item.url;
  },

  video(element, item, measured) {
    const video = document.createElement("video");
    Object.assign(video, { className: "tray__image", muted: true, playsInline: true });
    Object.assign(video, { preload: "metadata", ariaLabel: item.name });
    on(video, "loadedmetadata", () => {
      const { videoWidth: width, videoHeight: height, duration } = video;
      measured({ width, height, duration_ms: inMs(duration) });
    });
    element.querySelector("img").replaceWith(video);
    if (item.url) video.src = item.url + FIRST_FRAME;
  },

  voice(element, item, measured) {
    const voice = copyOf(document.getElementById("voice_template"));
    fillVoice(voice, { ...item, id: "", url: item.url });
    const sound = voice.querySelector("audio");
    sound.preload = "metadata";
    on(sound, "loadedmetadata", () => {
      const duration_ms = inMs(sound.duration) ?? item.duration_ms;
      measured({ width: 0, height: 0, duration_ms });
      fillVoice(voice, { ...item, id: "", duration_ms });
    });
    element.querySelector("img").replaceWith(voice);
    const alt = element.querySelector("[data-alt]");
    alt.placeholder = "What is it about?";
    alt.ariaLabel = "Describe the voice hai";
  },
};

const inMs = (seconds) => (Number.isFinite(seconds) ? Math.round(seconds * 1000) : undefined);

/** measured({width, height, duration_ms?}) is called once that is known. */
export function showMedia(element, item, measured) {
  const kind = item.state === "refused" ? "picture" : kindOf(item);
  SHOW[kind](element, item, measured);
}

"""The words that people use for tasks: the tables behind `suggest`.

Sources: pipelines and Auto classes of transformers, task tags of the Hugging Face Hub, task names of optimum,
sentence-transformers and spaCy, values seen in public code.
"""

from __future__ import annotations

import re

# Words that mean the same. The first of a line names the concept.
SYNONYMS = """
    causal autoregressive clm
    lm lms llm llms
    model models modeling modelling
    seq seqs sequence sequences
    to 2
    cls clf class classes classify classifying classifier classifiers classification
    token tokens tok tokenwise
    qa
    question questions
    answer ans answers answered answering
    feature features feat feats
    extract extracting extraction extractor
    text texts txt
    sentence sentences sent
    generate gen generation generator generating generative
    summarize summarization summarizer
    translate translation translator
    completion completions
    instruct
    transformer transformers
    embed embedding embeddings
    similarity similar
    rank ranker ranking
    rerank reranker reranking
    sentiment sentiments
    topic topics intent intents emotion emotions toxicity spam hate
    recognition recognizer recognize
    tagging tagger labeling labelling
    mask masks masked masking
    image images img vision visual
    audio sound music voice acoustic waveform spectrogram
    video videos
    speech
    caption captions captioning
    segment segmentation
    detect detection detector
    modal modality modalities
    multimodal multimodality mllm lvlm vlm vl omni
    diffusion diffusers diffuser unet
    forecast forecasting
    document documents doc
    language languages lang
"""

# Words that may stand beside a task without changing it.
FILLERS = """
    peft task tasks type types tasktype tasktypes category categories id ids tag tags pipeline pipelines peftmodel
    auto automodel autopeft for of the a an my with past head trainer training trained
    utils enum value name class multilabel multiclass multi label binary neural machine pair pairs
    lora
"""
NEGATIONS = "not no non never without except but instead anti or and vs versus"

# Neighbouring concepts that read as one.
IDIOMS = (
    (r"(?:-|cross) modal", "multimodal"),
    (r"modal", "model"),
    (r"language model", "lm"),
    (r"seq(?: to| \?\d+)? seq|seq to \?[seq]{2,4}|\?[seq]{2,4} to seq", "seq2seq"),
    (r"encoder decoder", "seq2seq"),
    (r"text text", "text to text"),
    (r"- \?regressive", "causal"),
    (r"\?re rank", "rerank"),
    (r"topic speech", "topic"),  # "hate speech" has nothing to do with sound
    (r"\?parts? - speech", "pos"),
    (r"time series", "timeseries"),
    (r"\?any to \?any", "multimodal"),
    (r"(?:\?natural )?language \?inference", "nli"),
    (r"\?q (?:! )?-", "qa"),
    (r"translate(?: [?!-]\w*)+ to(?: [?!-]\w*)+", "translate"),  # translation_en_to_no
)

# Task -> phrases that name it. PEFT has a task type for these (the older releases not for all of them) ...
TASKS = {
    "causal language modeling": "causal lm|causal|causal language|text generate|chat|chat completion|completion|"
    "text completion|instruct|conversational|decoder only|next token prediction",
    "sequence classification": "seq cls|text cls|sentence cls|sentiment|sentiment analysis|sentiment cls|topic cls|"
    "topic detect|zero shot cls|text rank|rerank|cross encoder|nli|entailment|textcat",
    "sequence-to-sequence language modeling": "seq2seq lm|seq2seq|text to text|text to text generate|summarize|"
    "text summarize|abstractive summarize|translate|text translate",
    "token classification": "token cls|ner|named entity recognition|entity recognition|named entity|pos|pos tagging|"
    "seq tagging",
    "question answering": "question answer|qa|extractive question answer|extractive qa",
    "feature extraction": "feature extract|embed|text embed|sentence embed|sentence similarity|sentence transformer|"
    "sentencetransformer|bi encoder",
}
# ... and for these it has none.
OTHER_TASKS = {
    "masked language modeling": "mask lm|fill mask|mlm|mask language",
    "multiple choice": "multiple choice|multi choice|multiple choice question answer|multiple choice qa",
    "next sentence prediction": "next sentence prediction|next sentence|nsp",
    "image classification": "image cls|image seq cls|zero shot image cls",
    "image segmentation": "segment|image segment|semantic segment|instance segment|universal segment|panoptic segment|"
    "mask generate",
    "object detection": "object detect|zero shot object detect",
    "image feature extraction": "image feature extract|image embed",
    "diffusion": "diffusion|image diffusion|diffusion lm",
    "image generation": "text to image|image generate|image to image",
    "visual question answering": "image question answer|image qa|vqa",
    "vision-language modeling": "multimodal|image language|image lm|image text|image text to text|image to text|"
    "image caption|image seq2seq|image to seq|image text encoder",
    "document question answering": "document question answer|document qa|document image question answer|docvqa",
    "table question answering": "table question answer|table qa",
    "speech recognition": "speech recognition|asr|speech to text|speech seq2seq|ctc|speech text",
    "speech translation": "speech translate",
    "text-to-speech": "text to speech|tts",
    "audio generation": "text to audio|audio generate",
    "audio classification": "audio cls|speech cls|zero shot audio cls",
    "video classification": "video cls",
    "video generation": "text to video|video generate|image to video",
    "time-series modeling": "timeseries|forecast|timeseries forecast|timeseries cls",
    "depth estimation": "depth estimation",
    "optical character recognition": "ocr|text recognition",
    "keypoint detection": "keypoint detect|pose estimation",
    "computer vision": "image",
    "audio processing": "audio|speech",
    "video processing": "video",
}
# Concepts that rule out a task about text, whatever stands beside them.
SENSES = frozenset(("image", "audio", "speech", "video", "timeseries", "multimodal", "diffusion"))
NONE = frozenset(("none", "null", "nil", "nonetype", "undefined"))

# transformers class names whose ending alone misleads: the architecture decides.
TEXT_SEQ2SEQ = re.compile(
    r"(?:tf|flax)?(?:(?:m|um|long|by|flan)?t5|t5gemma|(?:m|pl)?bart|(?:bigbird)?pegasusx?|blenderbot(?:small)?|led|mvp|"
    r"fsmt|m2m100|nllbmoe|switchtransformers|(?:xlm)?prophetnet)"
)
NOT_TEXT = re.compile(
    r"vision|image|visual|audio|speech|video|vit|clip|wav|whisper|hubert|^sewd?for|^gitfor|asr|udop|pix2struct|llava|"
    r"vlm?for|vlmoe|omni|patchts|voxtral|musicgen|multimodal|(?:layoutlm|layoutlmv\d|tapas|blip|vilt|lxmert)forquestion"
)
LOOKALIKES = str.maketrans(
    "АВЕЅІЈКМНОРСТХУавеѕіјкмнорстхуΑΒΕΖΗΙΚΜΝΟΡΤΥΧαοıłøŁØ", "ABESIJKMHOPCTXYabesijkmhopctxyABEZHIKMNOPTYXaoiloLO"
)

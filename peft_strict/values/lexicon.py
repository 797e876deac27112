"""The words that people use for tasks: the tables behind `suggest`.

Sources: pipelines and Auto classes of transformers, task tags of the Hugging Face Hub, task names of optimum,
sentence-transformers and spaCy, values seen in public code.
"""

from __future__ import annotations

import re

# Task -> phrases that name it, `|` between them. A phrase stands for all its spellings: see FORMS.
# PEFT has a task type for these (the older releases not for all of them) ...
TASKS = {
    "causal language modeling": """
        causal lm | causal | causal lang | causal language modeling | clm | sft causal lm | llm causal lm |
        autoregressive | autoregressive lm | text generation | text generation inference | textgen | chat | chat lm |
        chat completion | completion | text completion | instruct | conversational | decoder only |
        decoder only lm | next token prediction | auto model for causal lm | lm head model
    """,
    "sequence classification": """
        sequence classification | seq cls | sql cls | seq classification | sequence cls | text classification |
        sentence classification | sentence pair classification | zero shot classification |
        zero shot text classification | sentiment | sentiment analysis | sentiment classification |
        topic classification | news topic classification | intent classification | emotion classification |
        spam classification | toxicity classification | hate speech classification | intent detection |
        spam detection | toxicity detection | hate speech detection | text ranking | rerank | reranking | reranker |
        cross encoder | nli | natural language inference | entailment | textcat |
        auto model for sequence classification
    """,
    "sequence-to-sequence language modeling": """
        seq 2 seq lm | seq2seq | sequence to sequence | sequence to sequence lm |
        sequence to sequence language modeling | seq seq lm | text to text | text to text generation |
        text2text generation | summarization | text summarization | news summarization | abstractive summarization |
        translation | text translation | machine translation | neural machine translation | encoder decoder |
        auto model for seq2seq lm
    """,
    "token classification": """
        token classification | token cls | ner | named entity recognition | named entity recognition ner |
        entity recognition | named entity | pos | pos tagging | part of speech | part of speech tagging |
        sequence tagging | sequence labeling | auto model for token classification
    """,
    "question answering": """
        question answering | question ans | qa | q and a | extractive question answering | extractive qa |
        auto model for question answering
    """,
    "feature extraction": """
        feature extraction | embedding | text embedding | sentence embedding | sentence similarity |
        sentence transformer | bi encoder
    """,
}
# ... and for these it has none.
OTHER_TASKS = {
    "masked language modeling": """
        masked lm | masked language modeling | fill mask | mlm | auto model for masked lm
    """,
    "multiple choice": """
        multiple choice | multi choice | multiple choice question answering | multiple choice qa
    """,
    "next sentence prediction": "next sentence prediction | next sentence | nsp",
    "image classification": """
        image classification | image cls | image sequence classification | zero shot image classification |
        auto model for image classification
    """,
    "image segmentation": """
        segmentation | image segmentation | semantic segmentation | instance segmentation | universal segmentation |
        panoptic segmentation | mask generation
    """,
    "object detection": "object detection | zero shot object detection",
    "image feature extraction": "image feature extraction | image embedding",
    "diffusion": "diffusion | stable diffusion | latent diffusion | unet",
    "image generation": """
        text to image | text to image generation | image generation | unconditional image generation |
        image to image | image to image translation
    """,
    "visual question answering": "image question answering | image qa | vqa",
    "vision-language modeling": """
        image lm | image causal lm | image text | image text to text | image to text | image captioning |
        image to seq | image seq2seq | image text dual encoder | image encoder decoder
    """,
    "document question answering": """
        document question answering | document qa | document image question answering | doc vqa
    """,
    "table question answering": "table question answering | table qa",
    "speech recognition": """
        speech recognition | automatic speech recognition | asr | speech to text | speech seq2seq | ctc |
        speech encoder decoder
    """,
    "speech translation": "speech translation | speech to text translation",
    "text-to-speech": "text to speech | tts",
    "audio generation": "text to audio | audio generation",
    "audio classification": """
        audio classification | audio sequence classification | speech classification |
        zero shot audio classification | audio frame classification
    """,
    "video classification": "video classification",
    "video generation": "text to video | image to video | video generation",
    "time-series modeling": """
        time series | timeseries | forecasting | time series forecasting | time series classification |
        time series prediction
    """,
    "depth estimation": "depth estimation",
    "optical character recognition": "ocr | optical character recognition | text recognition",
    "keypoint detection": "keypoint detection | pose estimation",
}
# A text with one of these words is about no task of text, whatever stands beside it.
SENSES = {
    "diffusion": "diffusion|diffusers?|unet",
    "vision-language modeling": "multimodal|multimodality|modal|modality|mllm|lvlm|vlm|vl|omni|any to any",
    "video processing": "videos?",
    "computer vision": "images?|img|vision|visual",
    "audio processing": "audio|music|voice|(?<!hate )(?<!of )speech",
}

# How words are also written.
FORMS = """
    causal casual causa caus
    lm lms llm llms language
    sequence seq seqs sequences
    to 2
    classification cls clf class classes classify classifier classif
    token tokens tok tkn
    question questions quest ques qstn
    answering answer answers answered ans answ answr
    feature features feat feats
    extraction extract extracting extractor extractions extr ext
    text texts txt
    sentence sentences sent
    generation gen generate generating generator
    completion completions
    summarization summarisation summarize summarizer
    translation translate translator
    embedding embeddings embed
    transformer transformers
    encoder encoders
    tagging tagger
    labeling labelling
    masked mask masks
    image images img vision visual
    audio sound music voice waveform spectrogram
    captioning caption
    detection detector
    segmentation segment
    forecasting forecast
    document doc
    table tabular
    diffusion diffusers diffuser
"""
TRANSLATION = r"^translation [a-z]+ (?:to|2) [a-z]+$"  # translation_en_to_fr

# Words that may stand beside a phrase without changing it ...
FILLERS = """
    peft task tasks type types tasktype category categories tag pipeline auto model models modeling modelling automodel
    peftmodel for of the my with past head mapping trainer training trained finetuning utils enum value name id default
    binary multilabel multiclass fed federated hf lora qlora adapter unsloth squad
"""
FILLING = re.compile(r"multi[\W_]*(?:class|label|input)(?=[\W_])|fine[\W_]*tuning|(?<=\d)\.\d+", re.IGNORECASE)
# ... and the names of architectures for text. Any other word beside a phrase makes it another phrase.
NAMES = re.compile(
    r"(?:(?:modern|distil|mobile|camem|xlm|ro|de|al|rober|xlmro|sci|bio|fin|neo)?(?:berta?)|electra|ernie|xlnet|gpt|gptj|"
    r"gptneox|llama|tinyllama|codellama|vicuna|alpaca|mistral|mixtral|gemma|phi|qwen|falcon|bloom|bloomz|opt|mpt|mamba|"
    r"deepseek|olmo|smollm|granite|stablelm|cohere|starcoder|flan|[mu]?t(?=5)|byt(?=5)|m?bart|pegasus|nllb|marian|bge|"
    r"e(?=5)|gte)(?:v?\d+)?"
)
# Where one of these stands, no slip of the pen is looked for: they deny, or are a letter away from a task's word.
OWN_WORDS = frozenset(
    ("not", "no", "non", "never", "without", "except", "but", "instead", "anti", "nor", "acausal", "post", "future")
)
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
